"""The tracked runs of a plan: a parent, below it a run per cell, below that a run per seed.

Which run belongs to which plan, cell or unit is noted in `$MASE_HOME/tracking/`, so that work
that goes on after a stop goes on in the same runs, and finished work is linked, not logged again.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.request import Plan
from mase.artifacts import digest_of, home, write_json
from mase.errors import TrackingError
from mase.evaluation.plan import Cell
from mase.tracking import Tracker, names, open_tracker
from mase.tracking.address import identity, tracking_uri
from mase.units import Unit


def _note(key: str) -> Path:
    return home() / "tracking" / f"{key}.json"


def noted_run(key: str) -> str | None:
    """Return the run id noted under a key, if it is of the store in use."""
    path = _note(key)
    if not path.exists():
        return None
    note = json.loads(path.read_text(encoding="utf-8"))
    return note["run_id"] if note["store"] == identity(tracking_uri()) else None


def open_noted(key: str, name: str, parent: str | None, tags: Mapping[str, str]) -> Tracker:
    """Go on with the run noted under a key, or start one and note it.

    A run that is no longer in its store (a deleted database, say) is replaced by a new one;
    a store that cannot be reached fails here like anywhere else.
    """
    known = noted_run(key)
    if known is not None:
        try:
            return open_tracker(name, run_id=known)
        except TrackingError:
            pass
    tracker = open_tracker(name, parent=parent, tags=tags)
    write_json(_note(key), {"run_id": tracker.run_id, "store": identity(tracking_uri())})
    return tracker


@contextmanager
def plan_run(name: str, plan: Plan) -> Iterator[Tracker]:
    """Open the parent run of a plan, with links to the runs of units that are done already."""
    with open_noted(f"plan-{plan.digest()}", name, None, {names.KIND: "flow"}) as tracker:
        tracker.params(plan.params())
        yield tracker


def cell_run(cell: Cell, plan: Plan, parent: Tracker) -> Tracker:
    """Open the run of a cell."""
    identity = {"plan": plan.digest(), "row": cell.row, "column": cell.column}
    tags = {names.KIND: "cell", "mase.row": cell.row, "mase.task": cell.column}
    key = f"cell-{digest_of(identity)}"
    return open_noted(key, f"{cell.row} / {cell.column}", parent.run_id, tags)


def unit_run(unit: Unit, parent: str | None) -> Tracker:
    """Open the run of a unit."""
    tags = {names.KIND: "seed", "mase.unit": unit.digest}
    return open_noted(f"unit-{unit.digest}", unit.label or unit.digest, parent, tags)


def links(units: list[Unit]) -> dict[str, str]:
    """Return a tag per finished unit, naming the run that trained it."""
    return {f"mase.unit.{unit.digest}": noted_run(f"unit-{unit.digest}") or "untracked" for unit in units}
