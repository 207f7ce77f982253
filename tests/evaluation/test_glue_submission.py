"""GLUE's test submissions: the official layouts of the test files, and of what the server takes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from mase.errors import DataError, ParamsError
from mase.evaluation.glue_submission import (
    SUBMISSIONS,
    UnlabelledRows,
    read_test_file,
    size_note,
    submissions_of,
    write_submission,
)
from mase.params import TaskParams, load_params, read_named, validate
from mase.units import Unit, train

PARSES = "\t".join(["n/a"] * 7)  # promptID, pairID, genre and four parses
MNLI = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2"  # noqa: E501
OFFICIAL = {
    "sst2": (
        "index\tsentence",
        ["0\tuneasy mishmash .", '1\tit is "fine'],
        ["uneasy mishmash .", 'it is "fine'],
    ),
    "mrpc": ("\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String", ["0\t11\t12\ta man\ta person"], ["a man"]),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2",
        ["0\tmain\tf\t2017\t0001\tnone\tnone\tA girl.\tA child."],
        ["A girl."],
    ),
    "qqp": ("id\tquestion1\tquestion2", ["0\tHow?\tWhy?", "1\t\tWhat?"], ["How?", ""]),
    "qnli": ("index\tquestion\tsentence", ["0\tWho?\tHe did."], ["Who?"]),
    "mnli": (MNLI, [f"0\t{PARSES}\tIt rains.\tIt is wet."], ["It rains."]),
}


def task_named(name: str) -> TaskParams:
    return validate(TaskParams, read_named("tasks", name), name)


def written(folder: Path, name: str, header: str, lines: list[str]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_test_files_are_read_without_labels(name: str, tmp_path: Path) -> None:
    header, lines, first = OFFICIAL[name]
    source = task_named(name).files
    assert source is not None
    found = read_test_file(written(tmp_path, "test.tsv", header, lines), source.columns)
    assert found.index == tuple(line.split("\t")[0] for line in lines)
    assert found.texts_a == tuple(first)
    assert (found.texts_b is None) == (name == "sst2")
    assert found.texts_b is None or found.texts_b[-1] == lines[-1].split("\t")[-1]


def test_the_files_are_named_as_the_server_wants_them() -> None:
    names = [one.name for name in OFFICIAL for one in submissions_of(task_named(name))]
    assert names == ["SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv", "QNLI.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]
    with pytest.raises(
        ParamsError, match="commonsense_qa is not a GLUE task with a test server; there is: sst2"
    ):
        submissions_of(task_named("commonsense_qa"))


def test_predictions_stand_beside_their_index_in_the_files_order(tmp_path: Path) -> None:
    rows = UnlabelledRows(("7", "2"), ("a", "b"), ("c", "d"))
    asked = []

    def entailed(first: list[str], second: list[str] | None) -> list[str]:
        asked.append((first, second))
        return ["entailment", "not_entailment"]

    path = tmp_path / "sub" / "QNLI.tsv"
    write_submission(path, task_named("qnli"), rows, entailed)
    assert path.read_text() == "index\tprediction\n7\tentailment\n2\tnot_entailment\n"
    assert asked == [(["a", "b"], ["c", "d"])]
    write_submission(path, task_named("stsb"), rows, lambda *_: [0.0, 4.98765])
    assert path.read_text() == "index\tprediction\n7\t0.000\n2\t4.988\n"


def test_many_rows_are_asked_for_in_parts_and_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mase.evaluation.glue_submission.AT_ONCE", 3)
    names = tuple(map(str, range(8)))
    write_submission(
        tmp_path / "a.tsv", task_named("sst2"), UnlabelledRows(names, names, None), lambda first, _: first
    )
    assert (tmp_path / "a.tsv").read_text().splitlines()[1:] == [f"{n}\t{n}" for n in names]


def test_a_file_that_is_no_test_file_is_refused(tmp_path: Path) -> None:
    columns = task_named("sst2").files.columns  # type: ignore[union-attr]
    with pytest.raises(
        DataError, match="no column 'index' or 'id'; give the official test file, not the dev"
    ):
        read_test_file(written(tmp_path, "dev.tsv", "sentence\tlabel", ["fine\t1"]), columns)
    with pytest.raises(DataError, match="a number stands twice in its first column"):
        read_test_file(written(tmp_path, "test.tsv", "index\tsentence", ["0\ta", "0\tb"]), columns)
    assert size_note(SUBMISSIONS["sst2"][0], 1821) is None
    assert "2 rows, the official one 1821: the server will refuse" in str(
        size_note(SUBMISSIONS["sst2"][0], 2)
    )


def test_the_command_writes_the_files_of_a_kept_model(tmp_path: Path, shared_data: Path) -> None:
    overrides = (
        "data.source=files",
        f"data.dir={shared_data}",
        "data.max_train_rows=120",
        "training.max_steps=1",
    )
    params = load_params("mnli", profile="smoke", overlays=("methods/text",), overrides=overrides)
    unit = train(Unit(params, "mnli"), keep_model=True)
    words = ["submit", unit.digest[:10], "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]
    for name, count in (("test_matched.tsv", 3), ("test_mismatched.tsv", 2)):
        refused = CliRunner().invoke(app, words)
        assert refused.exit_code == 2 and f"{name} not found" in refused.stderr
        assert not (tmp_path / "out").exists()
        lines = [f"{n}\t{PARSES}\tIt rains {n}.\tIt is wet." for n in range(count)]
        written(tmp_path, f"MNLI/{name}", MNLI, lines)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert "the official one 9796: the server will refuse this" in done.stderr
    for name, count in (("MNLI-m.tsv", 3), ("MNLI-mm.tsv", 2)):
        lines = (tmp_path / "out" / name).read_text().splitlines()
        assert lines[0] == "index\tprediction"
        assert [line.split("\t")[0] for line in lines[1:]] == list(map(str, range(count)))
        assert {line.split("\t")[1] for line in lines[1:]} <= set(params.task.labels)
