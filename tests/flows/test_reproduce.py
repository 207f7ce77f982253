"""Reproducing a small table for real, in the smoke profile: once, again, and with a unit that fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows import steps
from flows.cells import UNIT_FAILURES
from flows.reproduce import Reproduction, UnitsFailed, reproduce
from flows.request import Request, make_plan, unfinished
from flows.steps import PLAIN
from mase.artifacts import home
from mase.errors import ParamsError, TrainingError
from mase.tracking import runs

QUICK = ("training.max_steps=2", "allocation.iterations=2")


@pytest.fixture
def request_of_two_rows(tiny_table: str) -> Request:
    return Request(profile="smoke", tables=(tiny_table,), seeds=1, overrides=QUICK)


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished unit was trained again")

    monkeypatch.setattr(steps, "train_unit", refuse)


def fail_on(monkeypatch: pytest.MonkeyPatch, label: str, error: BaseException) -> None:
    real = steps.train_unit

    def train(unit: Any, **settings: Any) -> Any:
        if label in unit.label:
            raise error
        return real(unit, **settings)

    monkeypatch.setattr(steps, "train_unit", train)


def statuses(kind: str) -> dict[str, str]:
    frame = runs()
    frame = frame[frame["kind"] == kind]
    return dict(zip(frame["name"], frame["status"], strict=True))


def test_a_table_is_trained_written_and_tracked_and_then_only_read(
    request_of_two_rows: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = reproduce(request_of_two_rows)
    assert (made.trained, made.linked, made.failures) == (3, 0, ())
    files = made.tables["tiny"]
    assert {"md", "csv", "tex", "html", "report", "figure4"} <= set(files)
    assert all(Path(path).stat().st_size for path in files.values())
    assert "Full MASE" in Path(files["md"]).read_text(encoding="utf-8")
    frame = runs()
    assert list(frame["kind"].value_counts().loc[["flow", "cell", "seed"]]) == [1, 3, 3]
    assert set(frame["status"]) == {"FINISHED"}
    parents = dict(zip(frame["run_id"], frame["parent"], strict=True))
    seeds = frame[frame["kind"] == "seed"]["run_id"]
    flow = frame[frame["kind"] == "flow"]["run_id"].item()
    assert {parents[parents[seed]] for seed in seeds} == {flow}

    forbid_training(monkeypatch)
    again = reproduce(request_of_two_rows)
    assert (again.trained, again.linked) == (0, 3)
    assert again.tables == made.tables
    assert len(runs()) == len(frame)


def test_a_failed_unit_leaves_the_rest_running_and_can_be_made_good(
    request_of_two_rows: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, "Full MASE", TrainingError("the loss is not finite"))
        with pytest.raises(UnitsFailed, match="the loss is not finite") as caught:
            reproduce(request_of_two_rows)
    made: Reproduction = caught.value.made
    assert made.trained == 2
    table = Path(made.tables["tiny"]["md"]).read_text(encoding="utf-8")
    assert "not run" in table and "the loss is not finite" in table
    assert statuses("cell") == {
        "Text only / looks": "FINISHED",
        "Full MASE / looks": "FAILED",
        "w/o contrastive loss / looks": "FINISHED",
    }
    assert statuses("flow") == {"mase-paper": "FAILED"}

    count = len(runs())
    good = reproduce(request_of_two_rows)
    assert (good.trained, good.linked, good.failures) == (1, 2, ())
    assert len(runs()) == count  # the same runs went on
    assert set(runs()["status"]) == {"FINISHED"}


def test_a_stop_marks_the_runs_as_killed(
    request_of_two_rows: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "Text only", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        reproduce(request_of_two_rows)
    assert set(runs()["status"]) == {"KILLED"}
    assert list(runs()["kind"]) == ["flow", "cell", "seed"]


def test_a_defect_stops_everything(request_of_two_rows: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TypeError not in UNIT_FAILURES
    fail_on(monkeypatch, "Text only", TypeError("a defect"))
    with pytest.raises(TypeError, match="a defect"):
        reproduce(request_of_two_rows)
    assert set(runs()["status"]) == {"FAILED"}


def test_a_unit_of_two_tables_is_trained_once(request_of_two_rows: Request, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    text = Path(request_of_two_rows.tables[0]).read_text(encoding="utf-8")
    other.write_text(text.replace("name: tiny", "name: other"), encoding="utf-8")
    both = Request(**{**request_of_two_rows.to_json(), "tables": (*request_of_two_rows.tables, str(other))})
    plan = make_plan(both)
    assert len(plan.cells()) == 6
    assert len(plan.units()) == len(unfinished(plan)) == 3


def test_the_figure_alone_needs_only_its_row() -> None:
    plan = make_plan(Request(profile="smoke", figures=("4",), tasks=("looks",), seeds=1))
    assert [unit.label for unit in plan.units()] == ["Full MASE / looks / seed 0"]


def test_the_cells_of_a_task_come_one_after_another() -> None:
    tasks = [cell.column for cell in make_plan(Request(profile="smoke", seeds=1)).cells()]
    assert tasks == sorted(tasks, key=tasks.index)
    assert len(set(tasks)) == 4


def test_the_default_table_fits_the_data(tmp_path: Path) -> None:
    assert Request(profile="smoke").default_table() == "demo"
    assert Request(profile="local").default_table() == "6"
    assert Request(profile="demo", overrides=("data.source=files",)).default_table() == "6"


def test_ablations_keep_reference_primary_and_ablations(tiny_table: str) -> None:
    plan = make_plan(Request(profile="smoke", seeds=1, only_ablations=True))
    groups = {row.group for row in plan.tables[0].declaration.rows if row.label != "Full MASE"}
    assert groups == {"reference", "ablation"}
    with pytest.raises(ParamsError, match="no figure"):
        make_plan(Request(profile="smoke", figures=("9",), tables=(tiny_table,)))


def test_a_request_crosses_a_border_as_json() -> None:
    request = Request(tables=("6",), tasks=("mrpc",), overrides=("a=b",))
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


def test_steps_are_called_once_for_equal_inputs(request_of_two_rows: Request) -> None:
    called: list[str] = []

    def count(name: str) -> Any:
        return lambda content: called.append(name) or {}

    inputs = steps.Inputs(
        steps.Steps(count("prepare"), count("graphs"), count("proxies"), PLAIN.train, PLAIN.tables)
    )
    for unit in make_plan(request_of_two_rows).units():
        inputs.make_ready(unit)
    assert called == ["prepare", "graphs", "proxies"]


def test_what_a_step_returns_is_json(request_of_two_rows: Request) -> None:
    unit = make_plan(request_of_two_rows).units()[1]
    content = unit.params.model_dump(mode="json")
    found = [PLAIN.prepare(content), PLAIN.graphs(content), PLAIN.proxies(content)]
    assert json.loads(json.dumps(found)) == found
    assert set(found[2]) >= {"sentence/image", "sentence/audio", "sentence/video"}
    assert not (home() / "units").exists()


def test_a_small_profile_says_that_it_is_too_small(request_of_two_rows: Request) -> None:
    made = reproduce(request_of_two_rows)
    for kind in ("md", "html", "tex", "report"):
        text = Path(made.tables["tiny"][kind]).read_text(encoding="utf-8")
        assert "too small for conclusions" in text, kind
