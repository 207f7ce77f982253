"""The behaviour that every tracker has: the same tests over memory and MLflow."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.errors import TrackingError
from mase.tracking import DatasetRecord, MemoryTracker, RunRecord, Tracker, names, open_tracker, read_run


class Backend:
    """How to open and read runs of one kind of store."""

    def __init__(self, open_run: Callable[..., Tracker], read: Callable[[str], RunRecord]) -> None:
        self.open = open_run
        self.read = read


@pytest.fixture(params=["memory", "mlflow"])
def backend(request: pytest.FixtureRequest, experiment: str) -> Backend:
    if request.param == "mlflow":
        request.getfixturevalue("store")
        return Backend(lambda name, **more: open_tracker(name, experiment=experiment, **more), read_run)
    memory: dict[str, RunRecord] = {}
    return Backend(
        lambda name, **more: MemoryTracker(name, experiment=experiment, runs=memory, **more),
        lambda i: memory[i],
    )


def test_a_new_run_is_running_and_named(backend: Backend, experiment: str) -> None:
    tracker = backend.open("first", tags={names.KIND: "flow"})
    record = backend.read(tracker.run_id)
    assert (record.name, record.status, record.experiment, record.parent) == (
        "first",
        "RUNNING",
        experiment,
        None,
    )
    assert record.tags[names.KIND] == "flow"
    assert record.tags[names.ATTEMPT] == "1"


def test_nested_params_become_dotted_keys(backend: Backend) -> None:
    tracker = backend.open("params")
    tracker.params({"a": {"b": {"c": 1}, "d": None}, "e": (1, 2), "f": "text", "g": {}, "h": True, "i": 2e-5})
    expected = {"a.b.c": "1", "a.d": "null", "e": "[1, 2]", "f": "text", "g": "{}", "h": "true", "i": "2e-05"}
    assert backend.read(tracker.run_id).params == expected


def test_equal_params_may_be_recorded_again_and_new_ones_added(backend: Backend) -> None:
    first = backend.open("params")
    first.params({"a": 1})
    first.params({"a": 1, "b": 2})
    again = backend.open("params", run_id=first.run_id)
    again.params({"a": 1, "b": 2, "c": 3})
    assert backend.read(first.run_id).params == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("reopen", [False, True])
def test_changed_params_are_refused_by_name_and_nothing_is_written(backend: Backend, reopen: bool) -> None:
    tracker = backend.open("params")
    tracker.params({"alpha": 0.1, "tau": 0.07})
    if reopen:
        tracker = backend.open("params", run_id=tracker.run_id)
    with pytest.raises(TrackingError, match=r"alpha was '0.1', now '0.2'"):
        tracker.params({"alpha": 0.2, "tau": 0.07, "new": 1})
    assert backend.read(tracker.run_id).params == {"alpha": "0.1", "tau": "0.07"}


def test_metrics_keep_their_steps_in_order(backend: Backend) -> None:
    tracker = backend.open("metrics")
    for step in (2, 0, 1):
        tracker.metrics({names.weight("image"): np.float32(step / 4), names.OBJECTIVE: -step}, step)
    record = backend.read(tracker.run_id)
    assert record.trajectory("em/weight/image") == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert record.metrics[names.OBJECTIVE] == -2.0
    assert record.trajectory("never") == []


def test_more_than_a_thousand_metrics_at_once(backend: Backend) -> None:
    tracker = backend.open("many")
    tracker.metrics({names.diagnostic(f"number_{i}"): i for i in range(2101)})
    points = backend.read(tracker.run_id).points if isinstance(tracker, MemoryTracker) else None
    if points is None:  # reading 2,101 trajectories one by one would be slow
        points = tracker.client.get_run(tracker.run_id).data.metrics  # type: ignore[attr-defined]
    assert len(points) == 2101


def test_a_resumed_run_keeps_the_points_it_has(backend: Backend) -> None:
    first = backend.open("resumed")
    for step in range(3):
        first.metrics({"em/delta": step, "cost/seconds": 1.0}, step)
    again = backend.open("resumed", run_id=first.run_id)
    for step in range(5):
        again.metrics({"em/delta": step, "cost/seconds": 2.0}, step)
    record = backend.read(first.run_id)
    assert record.trajectory("em/delta") == [(i, float(i)) for i in range(5)]
    assert record.trajectory("cost/seconds") == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
    assert record.tags[names.ATTEMPT] == "2"


def test_one_tracker_cannot_give_a_step_two_values(backend: Backend) -> None:
    tracker = backend.open("twice")
    tracker.metrics({"em/delta": 1.0}, 3)
    tracker.metrics({"em/delta": 1.0}, 3)
    with pytest.raises(TrackingError, match=r"'em/delta' has 1.0 at step 3 already, and now 2.0"):
        tracker.metrics({"em/objective": 5.0, "em/delta": 2.0}, 3)
    assert backend.read(tracker.run_id).points == {"em/delta": {3: 1.0}}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_kept_as_nan_and_told(backend: Backend, value: float) -> None:
    tracker = backend.open("not finite")
    tracker.metrics({"train/loss/total": 1.0}, 0)
    tracker.metrics({"train/loss/total": value, "em/delta": 0.5}, 1)
    tracker.metrics({"train/loss/total": value}, 1)
    again = backend.open("not finite", run_id=tracker.run_id)
    again.metrics({"train/loss/total": value}, 2)
    record = backend.read(tracker.run_id)
    assert math.isnan(record.points["train/loss/total"][1])
    assert math.isnan(record.metrics["train/loss/total"])
    assert record.points["em/delta"] == {1: 0.5}
    told = f"train/loss/total@1={value}, train/loss/total@2={value}"
    assert record.tags[names.NON_FINITE] == told


def test_a_metric_must_be_a_number_with_a_usable_name(backend: Backend) -> None:
    tracker = backend.open("wrong")
    with pytest.raises(TrackingError, match="'em/delta': 'high' is not a number"):
        tracker.metrics({"em/objective": 1.0, "em/delta": "high"})  # type: ignore[dict-item]
    with pytest.raises(TrackingError, match="em@delta"):
        tracker.metrics({"em@delta": 1.0})
    with pytest.raises(TrackingError, match="not usable as names"):
        tracker.params({"a" * 251: 1})
    assert backend.read(tracker.run_id).points == {}


def test_long_tags_are_cut_visibly(backend: Backend) -> None:
    tracker = backend.open("tags")
    tracker.tags({"note": "x" * 9000, "other": "short"})
    tracker.tags({"other": "changed"})
    tags = backend.read(tracker.run_id).tags
    assert len(tags["note"]) == 8000
    assert tags["note"].endswith("... (9000 characters)")
    assert tags["other"] == "changed"


def test_datasets_are_visible_with_their_digests(backend: Backend) -> None:
    tracker = backend.open("data")
    digest = "0123456789abcdef" * 4
    for _ in range(2):  # a resumed run says it again
        tracker.dataset("mrpc", digest=digest, source="glue/MRPC/train.tsv", context="train", rows=3668)
    tracker.dataset("mrpc-dev", digest="feed", source="glue/MRPC/dev.tsv", context="dev", rows=408)
    found = backend.read(tracker.run_id).datasets
    assert sorted(found, key=lambda d: d.name) == [
        DatasetRecord("mrpc", digest, "glue/MRPC/train.tsv", "train", 3668),
        DatasetRecord("mrpc-dev", "feed", "glue/MRPC/dev.tsv", "dev", 408),
    ]


def test_files_folders_and_tables_are_kept(backend: Backend, tmp_path: Path) -> None:
    tracker = backend.open("files")
    (tmp_path / "plots" / "deep").mkdir(parents=True)
    (tmp_path / "plots" / "deep" / "a.png").write_bytes(b"picture")
    (tmp_path / "note.txt").write_text("text")
    tracker.artifact(tmp_path / "note.txt")
    tracker.artifact(tmp_path / "note.txt", "notes/here")
    tracker.artifact(tmp_path / "plots", "figures")
    for _ in range(2):
        tracker.table("allocation", pd.DataFrame({"iteration": [0, 1], "weight": [0.25, 0.5]}))
    assert backend.read(tracker.run_id).artifacts == [
        "figures/plots/deep/a.png",
        "note.txt",
        "notes/here/note.txt",
        "tables/allocation.csv",
        "tables/allocation.json",
    ]
    with pytest.raises(TrackingError, match=r"missing\.png"):
        tracker.artifact(tmp_path / "missing.png")


def test_children_and_grandchildren_name_their_parents(backend: Backend, experiment: str) -> None:
    flow = backend.open("flow", tags={names.KIND: "flow"})
    cell = flow.child("cell", {names.KIND: "cell"})
    seed = cell.child("seed", {names.KIND: "seed"})
    by_id = backend.open("other seed", parent=cell.run_id)
    assert backend.read(flow.run_id).parent is None
    assert backend.read(cell.run_id).parent == flow.run_id
    assert backend.read(seed.run_id).parent == cell.run_id
    assert backend.read(by_id.run_id).parent == cell.run_id
    assert {backend.read(t.run_id).experiment for t in (flow, cell, seed, by_id)} == {experiment}
    assert backend.read(seed.run_id).tags[names.KIND] == "seed"


def test_a_block_that_ends_well_finishes_the_run(backend: Backend) -> None:
    with backend.open("good") as tracker:
        assert backend.read(tracker.run_id).status == "RUNNING"
    record = backend.read(tracker.run_id)
    assert record.status == "FINISHED"
    assert names.REASON not in record.tags


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("no rows"), "FAILED", "ValueError: no rows"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt: "),
        (SystemExit(3), "KILLED", "SystemExit: 3"),
        (GeneratorExit(), "KILLED", "GeneratorExit: "),
    ],
)
def test_a_block_that_raises_says_why(
    backend: Backend, error: BaseException, status: str, reason: str
) -> None:
    tracker = backend.open("bad")
    with pytest.raises(type(error)), tracker:
        raise error
    record = backend.read(tracker.run_id)
    assert record.status == status
    assert record.tags[names.REASON].strip() == reason.strip()


def test_a_closed_run_takes_nothing_more_until_it_is_opened_again(backend: Backend) -> None:
    tracker = backend.open("closed")
    with tracker:
        tracker.close("FAILED", "a reason")
    tracker.close("FAILED")
    with pytest.raises(TrackingError, match="FAILED already"):
        tracker.close("FINISHED")
    actions: list[Callable[[], Any]] = [
        lambda: tracker.params({"a": 1}),
        lambda: tracker.metrics({"a": 1}),
        lambda: tracker.tags({"a": "1"}),
        lambda: tracker.dataset("a", digest="b", source="c", context="d", rows=1),
        lambda: tracker.artifact(Path(__file__)),
        lambda: tracker.table("a", pd.DataFrame({"b": [1]})),
        lambda: tracker.child("a"),
    ]
    for action in actions:
        with pytest.raises(TrackingError, match="open it again"):
            action()
    with backend.open("closed", run_id=tracker.run_id) as again:
        assert backend.read(again.run_id).status == "RUNNING"
    record = backend.read(tracker.run_id)
    assert (record.status, record.tags[names.REASON]) == ("FINISHED", "a reason")


def test_a_run_that_is_not_there_cannot_be_opened(backend: Backend) -> None:
    with pytest.raises(TrackingError, match="0" * 32):
        backend.open("none", run_id="0" * 32)
    with pytest.raises(TrackingError, match="1" * 32):
        backend.open("none", parent="1" * 32)


def test_a_tracker_does_not_travel_between_processes(backend: Backend) -> None:
    with pytest.raises(TypeError, match="pass its run_id"):
        pickle.dumps(backend.open("travel"))
