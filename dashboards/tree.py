"""Flows, cells and seeds as a tree: who is below whom, and what the runs below come to."""

from collections.abc import Iterable

import pandas as pd

ENDED_BADLY = ("FAILED", "KILLED")
CONTAINERS = ("flow", "cell", "study")  # runs that train nothing themselves


def arranged(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs in the order of the tree, with `depth` and sums over what is below.

    The newest top comes first; what is below a run follows it in the order of its start. A run whose
    parent is not among them is a top. Of the units at or below a run (seeds, trials):
    `leaves`, how many; `finished`, `running`, `ended_badly`; and `seconds` of training.

    Args:
        runs: of `listing`: newest first.
    """
    below = children(runs)
    order: list[str] = []
    depth: dict[str, int] = {}
    waiting = [(run_id, 0) for run_id in reversed(below.get("", []))]
    while waiting:
        run_id, level = waiting.pop()
        order.append(run_id)
        depth[run_id] = level
        waiting += [(child, level + 1) for child in below.get(run_id, [])]
    placed = runs.set_index("run_id").loc[order].reset_index()
    placed["depth"] = [depth[run_id] for run_id in order]
    return placed.join(_sums(placed, below))


def children(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Return parent -> children, newest first; the tops are the children of ""."""
    known = set(runs["run_id"])
    found: dict[str, list[str]] = {}
    for run_id, parent in zip(runs["run_id"], runs["parent"], strict=True):
        found.setdefault(parent if parent in known and parent != run_id else "", []).append(run_id)
    return found


def _sums(placed: pd.DataFrame, below: dict[str, list[str]]) -> pd.DataFrame:
    leaf = ~placed["kind"].isin(CONTAINERS) & ~placed["run_id"].isin(list(below))
    seconds = placed["cost/seconds"] if "cost/seconds" in placed else pd.Series(0.0, index=placed.index)
    own = pd.DataFrame(
        {
            "leaves": leaf,
            "finished": leaf & (placed["status"] == "FINISHED"),
            "running": leaf & (placed["status"] == "RUNNING"),
            "ended_badly": leaf & placed["status"].isin(ENDED_BADLY),
            "seconds": seconds.fillna(0.0),
        }
    ).astype(float)
    totals = dict(zip(placed["run_id"], own.to_numpy().tolist(), strict=True))
    for run_id in reversed(placed["run_id"].tolist()):  # children come after their parent
        parts = [totals[run_id], *(totals[child] for child in below.get(run_id, []))]
        totals[run_id] = [sum(numbers) for numbers in zip(*parts, strict=True)]
    rows = [totals[run_id] for run_id in placed["run_id"]]
    return pd.DataFrame(rows, columns=list(own.columns), index=placed.index)


def with_ancestors(placed: pd.DataFrame, wanted: Iterable[bool]) -> pd.DataFrame:
    """Return the wanted runs of a tree and everything above them."""
    parents: dict[str, str] = dict(zip(placed["run_id"], placed["parent"], strict=True))
    kept: set[str] = set()
    for run_id, is_wanted in zip(placed["run_id"], wanted, strict=True):
        at = run_id
        while is_wanted and at in parents and at not in kept:
            kept.add(at)
            at = parents[at]
    return placed[placed["run_id"].isin(list(kept))]


def cell_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds among runs, with the `row` and `task` of the cell above them.

    A unit that no table asked for is its own row; its name says its task.
    """
    cells = runs[runs["kind"] == "cell"].set_index("run_id")
    seeds = runs[runs["kind"] == "seed"].copy()
    named = seeds["name"].astype("object").fillna("").str.split(" / ")
    seeds["row"] = seeds["parent"].map(cells["row"]).fillna(named.str[0])
    seeds["task"] = seeds["parent"].map(cells["task"]).fillna(named.str[1]).fillna("–")
    return seeds
