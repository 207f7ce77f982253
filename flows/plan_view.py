"""What `--dry-run` prints: rows, how they differ from the primary one, what is done, what is left."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from flows.request import Plan, PlannedTable
from mase.evaluation.declaration import task_of
from mase.evaluation.plan import lacking, unique_units, work
from mase.units import Unit


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print a plan; nothing is written or trained."""
    units = work(plan.cells(), plan.result)
    if as_json:
        content = [
            {
                "digest": w.unit.digest,
                "label": w.unit.label,
                "done": w.done,
                "cells": [list(c) for c in w.cells],
            }
            for w in units
        ]
        print(json.dumps({"units": content, "to_train": sum(not w.done for w in units)}, indent=1))
        return
    done = {w.unit.digest for w in units if w.done}
    for table in plan.tables:
        _print_table(table, done)
    print(f"\n{len(units)} units, {len(done)} done, {len(units) - len(done)} to train{_cost(plan)}")
    places = Counter(unit for table in plan.tables for unit in _places(table))
    shared = sum(count > 1 for count in places.values())
    if shared:
        print(f"{shared} of them are shared by rows or tables, which have {places.total()} places for units")
    if plan.kept:
        print(
            f"Figure 5 looks into {len(plan.kept)} of them; what is done without its model is trained again"
        )


def _places(table: PlannedTable) -> Iterator[str]:
    """Yield the digest of the unit of every row, task, seed and fold of a table."""
    seen = {(cell.row, unit.digest) for cell in table.cells for unit in cell.units}
    return (digest for _, digest in seen)


def _print_table(table: PlannedTable, done: set[str]) -> None:
    print(f"{table.declaration.title}  [{table.declaration.name}]")
    primary = next((c.units[0] for c in table.cells if c.units and c.row == table.declaration.primary), None)
    for row in table.declaration.rows:
        cells = [cell for cell in table.cells if cell.row == row.label]
        units = unique_units(cells)
        finished = sum(unit.digest in done for unit in units)
        state = f"{finished} of {len(units)} done" if row.available else f"not available: {row.note}"
        tasks = dict.fromkeys(task_of(cell.column) for cell in cells if cell.units or not row.available)
        print(f"  {row.label}: {', '.join(tasks)}; {state}")
        if row.ensemble is not None:
            print(f"      mean of {row.ensemble.seeds} seeds of {row.ensemble.of}")
        elif units and primary is not None:
            print("".join(f"      {line}\n" for line in differences(primary, units[0])), end="")
    for reason in lacking(table.cells):
        print(f"  no data: {reason}")


def differences(base: Unit, unit: Unit) -> list[str]:
    """Return, as `key=value`, the params in which a unit differs from another one of the same task."""
    return list(_differing(base.params.model_dump(mode="json"), unit.params.model_dump(mode="json"), ""))


def _differing(base: Mapping[str, Any], other: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in other.items():
        before = base.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            yield from _differing(before, value, f"{prefix}{key}.")
        elif value != before and key != "note":
            yield f"{prefix}{key}={json.dumps(value)}"


def _cost(plan: Plan) -> str:
    """Return what the units to train may take, judged by those that are done."""
    results = [plan.result(unit) for unit in plan.units()]
    seconds = [result.seconds for result in results if result is not None]
    missing = len(results) - len(seconds)
    if not seconds or not missing:
        return ""
    return f"; about {missing * sum(seconds) / len(seconds) / 60:.0f} min, judged by the {len(seconds)} done"
