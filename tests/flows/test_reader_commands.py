"""What a reader asks of finished units: Figure 5, compare, verdict, explain; on a tiny trained table."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.reproduce import spelt_out
from flows.reproduce import reproduce
from flows.request import Request, make_plan, unfinished
from mase.errors import DataError
from mase.evaluation import embedding_plot, real_vectors_plot

QUICK = ("training.max_steps=2", "allocation.iterations=2", "graph.parser=rules")
TABLE = """
name: seen
title: Three rows
columns: [looks]
reference: Text only
primary: Full MASE
rows:
  - {label: Text only, group: reference, overlays: [methods/text]}
  - {label: MPB, group: method, overlays: [methods/mpb]}
  - {label: Full MASE, group: method, overlays: [methods/mase]}
  - {label: Random towers, group: control, placebo: true, overlays: [methods/mase, controls/random_towers]}
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tables") / "seen.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def finished_home(table: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which the tiny table is trained and Figure 5 is drawn."""
    home = tmp_path_factory.mktemp("finished")
    given = str(vectors(home / "vectors"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(home))
        for module in (embedding_plot, real_vectors_plot):  # t-SNE is tested by itself
            patch.setattr(module, "tsne", lambda points: np.asarray(points)[:, :2])
        files = reproduce(
            Request("smoke", (table,), ("4", "5"), seeds=1, overrides=QUICK, vectors=given)
        ).tables
    (home / "files.json").write_text(json.dumps(files["seen"]), encoding="utf-8")
    return home


@pytest.fixture
def finished(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Work in that home; return what was written there, by kind."""
    monkeypatch.setenv("MASE_HOME", str(finished_home))
    return json.loads((finished_home / "files.json").read_text(encoding="utf-8"))


def mase(*words: str) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, output and error output."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def cells(table: str) -> list[str]:
    """Return the options that name the cells of the tiny table."""
    settings = [word for value in QUICK for word in ("--set", value)]
    return ["--table", table, "--profile", "smoke", "--seeds", "1", *settings]


def vectors(folder: Path) -> Path:
    """Write vectors of forty names; the files do not say what they are of."""
    folder.mkdir()
    names = [f"{colour} {thing}" for colour in ("red", "blue", "old", "big") for thing in "abcdefghij"]
    np.save(folder / "mine.npy", np.random.default_rng(0).normal(size=(40, 7)))
    (folder / "mine.names.txt").write_text("\n".join(names), encoding="utf-8")
    return folder


def units_of(table: str) -> dict[str, str]:
    """Return label of a row -> digest of its unit."""
    plan = make_plan(Request("smoke", (table,), seeds=1, overrides=QUICK))
    return {unit.label.partition(" /")[0]: unit.digest for unit in plan.units()}


def test_figures_and_their_numbers_are_written_and_are_in_the_report(finished: dict[str, str]) -> None:
    for name in ("figure4", "figure5-looks", "figure5b-mine"):
        assert Path(finished[name]).read_bytes()[:4] == b"\x89PNG", name
    numbers = pd.read_csv(finished["figure5-looks_data"])
    assert set(numbers["row"]) == {"MPB", "Full MASE", "Random towers"}
    assert {"silhouette", "separability", "gap"} == set(numbers["measure"])
    assert "placebo: random tower" in set(pd.read_csv(finished["figure5b-mine_data"])["of"])
    report = Path(finished["report"]).read_text(encoding="utf-8")
    assert "they say nothing on images" in report and "do not say what these vectors are of" in report


def test_every_row_gets_a_verdict(table: str, finished: dict[str, str]) -> None:
    code, output, _ = mase("verdict", *cells(table), "--json")
    judged = json.loads(output)
    assert code == 0 and [one["row"] for one in judged] == ["MPB", "Full MASE", "Random towers"]
    assert all(one["detectable"] is not None for one in judged)
    code, output, _ = mase("verdict", *cells(table), "--margin", "60")
    assert code == 0 and "no difference" in output and "underpowered" not in output


def test_rows_and_their_units_compare_alike(table: str, finished: dict[str, str]) -> None:
    code, output, _ = mase("compare", "Text only", "Full MASE", *cells(table))
    assert code == 0 and "looks: Full MASE minus Text only, 48 examples" in output
    assert "entities" in output and "slices (accuracy" in output
    by_row = json.loads(mase("compare", "Text only", "Full MASE", *cells(table), "--json")[1])
    units = units_of(table)
    by_unit = json.loads(mase("compare", units["Text only"], units["Full MASE"][:10], "--json")[1])
    assert by_unit[0]["to_right"] == by_row[0]["to_right"] and by_unit[0]["slices"] == by_row[0]["slices"]


def test_a_prediction_is_explained(table: str, finished: dict[str, str]) -> None:
    units = units_of(table)
    code, output, _ = mase(
        "explain", units["Full MASE"], "--text", "A red bus passes a dog.", "--neighbours", "1"
    )
    assert (
        code == 0 and "without it (its weight set to 0" in output and "entities: 'red bus', 'dog'" in output
    )
    explained = json.loads(mase("explain", units["MPB"], "--text", "A red bus.", "--json")[1])
    assert [one["modality"] for one in explained["modalities"]] == ["text", "image", "audio", "video"]


def test_what_is_done_without_its_model_is_trained_again_for_figure_5(
    table: str, finished_home: Path, mase_home: Path
) -> None:
    shutil.copytree(finished_home / "units", mase_home / "units")
    for model in mase_home.glob("units/*/model"):
        shutil.rmtree(model)
    plain = Request("smoke", (table,), seeds=1, overrides=QUICK)
    asked = Request("smoke", (table,), ("5",), seeds=1, overrides=QUICK)
    todo = unfinished(make_plan(asked))
    assert sorted(unit.label.partition(" /")[0] for unit in todo) == ["Full MASE", "MPB", "Random towers"]
    assert unfinished(make_plan(plain)) == []
    code, output, _ = mase("reproduce", *cells(table), "--figure", "5", "--dry-run")
    assert code == 0 and "4 units, 1 done, 3 to train" in output and "looks into 3 of them" in output
    code, output, _ = mase("report", *cells(table), "--figure", "5")
    assert code == 0 and "3 of 3 units keep no model" in output and "figure5-looks" not in output
    code, _, errors = mase("explain", todo[0].digest, "--text", "A red bus.")
    assert code == 1 and "keep_model" in errors


def test_figures_alone_need_their_rows_alone() -> None:
    def rows(*figures: str) -> list[str]:
        plan = make_plan(Request("smoke", figures=figures, tasks=("looks",), seeds=1))
        return [unit.label.partition(" /")[0] for unit in plan.units()]

    assert rows("4") == ["Full MASE"]
    assert rows("5") == rows("4", "5") == ["MPB", "Full MASE", "Random towers"]


@pytest.mark.parametrize(
    ("words", "spelt"),
    [
        ("--figure 4 5 --seeds 2", "--figure 4 --figure 5 --seeds 2"),
        ("--table 1 6 table3-low --dry-run", "--table 1 --table 6 --table table3-low --dry-run"),
        ("--table=1 6", "--table=1 --table 6"),
        ("--figure 4 --figure 5", "--figure 4 --figure 5"),
        ("--tasks a b", "--tasks a b"),
    ],
)
def test_an_option_takes_several_names(words: str, spelt: str) -> None:
    assert spelt_out(words.split()) == spelt.split()


def test_unreadable_vectors_stop_before_anything_is_trained(table: str, tmp_path: Path) -> None:
    code, _, errors = mase("reproduce", *cells(table), "--figure", "5", "--vectors", str(tmp_path / "none"))
    assert code == 2 and "no NAME.npy" in errors
    assert not list((tmp_path / "mase-home").glob("units/*"))


ERRORS = [
    (["compare", "Text only", "Fll MASE", "--table", "demo", "--profile", "smoke"], "no row 'Fll MASE'; "),
    (["compare", "Text only", "MPB", "--table", "demo", "--profile", "smoke"], "not run"),
    (["compare", "0000", "1111"], "no unit or folder '0000'"),
    (["verdict", "--table", "99"], "table99"),
    (["verdict", "--margin", "-1"], "--margin"),
    (["explain", "0000", "--text", "x"], "no unit or folder '0000'"),
    (["explain", "0000"], "--text"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS)
def test_what_is_wrong_is_said_in_one_message(words: list[str], message: str) -> None:
    code, _, errors = mase(*words)
    assert code == 2
    assert message.rstrip("; ") in errors and "Traceback" not in errors


@pytest.mark.parametrize("command", ["compare", "verdict", "explain"])
def test_help_shows_an_example(command: str) -> None:
    code, output, _ = mase(command, "--help")
    assert code == 0 and f"Example: mase {command}" in output


def test_a_folder_that_is_no_unit_is_refused(tmp_path: Path) -> None:
    from mase.evaluation.finished import finished_cell

    with pytest.raises(DataError, match="no finished unit"):
        finished_cell(tmp_path)


def test_figures_without_a_table_are_published_as_their_report_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flows import publish

    made: dict[str, str] = {}
    monkeypatch.setattr(
        publish, "create_markdown_artifact", lambda **about: made.update({about["key"]: about["markdown"]})
    )
    (tmp_path / "t.md").write_text("| a |")
    report = str(tmp_path / "report.html")
    publish.publish_tables({"one": {"figure4": "a.png", "report": report}})
    publish.publish_tables({"two": {"md": str(tmp_path / "t.md"), "report": report}})
    said = f"Report, on the machine that made it: `{report}`\n"
    assert made == {"table-one": said, "table-two": f"| a |\n\n{said}"}
