import pandas as pd

from dashboards.tree import arranged, cell_of, with_ancestors


def runs(*rows: tuple[str, str | None, str, str, float | None]) -> pd.DataFrame:
    """Return runs of (id, parent, kind, status, seconds), newest first."""
    frame = pd.DataFrame(rows, columns=["run_id", "parent", "kind", "status", "cost/seconds"])
    return frame.assign(name=frame["run_id"])


STORE = runs(
    ("seed 1", "cell", "seed", "RUNNING", None),
    ("seed 0", "cell", "seed", "FINISHED", 40.0),
    ("lost", "gone", "seed", "FAILED", None),
    ("cell", "flow", "cell", "RUNNING", None),
    ("empty cell", "flow", "cell", "FINISHED", None),
    ("flow", None, "flow", "RUNNING", None),
    ("old flow", None, "flow", "FINISHED", None),
    ("old seed", "old flow", "seed", "FINISHED", 2.0),
)


def test_children_follow_their_parent_and_know_their_depth() -> None:
    placed = arranged(STORE)
    assert list(zip(placed["run_id"], placed["depth"], strict=True)) == [
        ("lost", 0), ("flow", 0), ("empty cell", 1), ("cell", 1), ("seed 0", 2), ("seed 1", 2),
        ("old flow", 0), ("old seed", 1),
    ]  # fmt: skip


def test_a_run_sums_the_units_below_it() -> None:
    placed = arranged(STORE)
    columns = ["leaves", "finished", "running", "ended_badly", "seconds"]
    sums = dict(zip(placed["run_id"], placed[columns].to_numpy().tolist(), strict=True))
    assert sums["flow"] == [2, 1, 1, 0, 40]
    assert sums["empty cell"] == [0, 0, 0, 0, 0]
    assert sums["lost"] == [1, 0, 0, 1, 0]
    tops = placed[placed["depth"] == 0]
    assert tops["leaves"].sum() == 4


def test_a_run_that_names_itself_as_parent_is_a_top() -> None:
    placed = arranged(runs(("a", "a", "seed", "FINISHED", 1.0)))
    assert placed["depth"].tolist() == [0]


def test_a_match_brings_what_is_above_it() -> None:
    placed = arranged(STORE)
    found = with_ancestors(placed, placed["run_id"] == "seed 0")
    assert found["run_id"].tolist() == ["flow", "cell", "seed 0"]
    assert with_ancestors(placed, placed["run_id"] == "nobody").empty


def test_a_seed_has_its_cells_row_and_task_or_those_of_its_name() -> None:
    rows = [("alone", None, "seed", "FINISHED", 1.0), ("seed 0", "cell", "seed", "FINISHED", 1.0)]
    frame = runs(*rows, ("cell", None, "cell", "FINISHED", None))
    frame["row"], frame["task"] = [None, None, "MPB / image"], [None, None, "mrpc"]
    frame.loc[0, "name"] = "mase / looks / seed 0"
    seeds = cell_of(frame)
    assert seeds[["row", "task"]].to_numpy().tolist() == [["mase", "looks"], ["MPB / image", "mrpc"]]
