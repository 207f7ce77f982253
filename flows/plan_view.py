"""What `--dry-run` prints: rows, how they differ from the primary one, what is done, what is left."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flows.request import Plan, PlannedTable
from mase.evaluation.plan import work
from mase.units import Unit, load_result


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print a plan; nothing is written or trained."""
    units = work(plan.cells())
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


def _print_table(table: PlannedTable, done: set[str]) -> None:
    print(f"{table.declaration.title}  [{table.declaration.name}]")
    primary = next((c.units[0] for c in table.cells if c.row == table.declaration.primary), None)
    for row in table.declaration.rows:
        cells = [cell for cell in table.cells if cell.row == row.label]
        units = [unit for cell in cells for unit in cell.units]
        finished = sum(unit.digest in done for unit in units)
        state = f"{finished} of {len(units)} done" if row.available else f"not available: {row.note}"
        print(f"  {row.label}: {', '.join(cell.column for cell in cells)}; {state}")
        if units and primary is not None:
            print("".join(f"      {line}\n" for line in differences(primary, units[0])), end="")


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
    results = [load_result(unit) for unit in plan.units()]
    seconds = [result.seconds for result in results if result is not None]
    missing = len(results) - len(seconds)
    if not seconds or not missing:
        return ""
    return f"; about {missing * sum(seconds) / len(seconds) / 60:.0f} min, judged by the {len(seconds)} done"
