"""What `--dry-run` prints: rows, what sets them apart, what is done, and what the rest may cost."""

import json
from collections.abc import Mapping
from typing import Any

from flows.request import Plan, PlannedTable
from mase.evaluation.plan import Cell, work
from mase.units import Unit, load_result


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print a plan; nothing is written or trained."""
    units = work(plan.cells())
    if as_json:
        content = [
            {"digest": w.unit.digest, "label": w.unit.label, "done": w.done, "cells": [list(c) for c in w.cells]}
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
    reference = {c.column: c.units[0] for c in table.cells if c.row == table.declaration.reference and c.units}
    for row in table.declaration.rows:
        cells = [cell for cell in table.cells if cell.row == row.label]
        units = [unit for cell in cells for unit in cell.units]
        finished = sum(unit.digest in done for unit in units)
        state = f"{finished} of {len(units)} done" if row.available else f"not available: {row.note}"
        print(f"  {row.label}: {', '.join(cell.column for cell in cells)}; {state}")
        for line in _differences(cells, reference):
            print(f"      {line}")


def _differences(cells: list[Cell], reference: Mapping[str, Unit]) -> list[str]:
    """Return the params in which a row differs from the reference row, on the first common task."""
    for cell in cells:
        if cell.units and cell.column in reference and cell.units[0] is not reference[cell.column]:
            base = _flat(reference[cell.column].params.model_dump(mode="json"))
            mine = _flat(cell.units[0].params.model_dump(mode="json"))
            keys = [key for key in mine if mine[key] != base.get(key)]
            return [f"{key}={json.dumps(mine[key])}" for key in keys if not key.startswith("task.")]
    return []


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _cost(plan: Plan) -> str:
    """Return what the units to train may take, judged by those that are done."""
    results = [load_result(unit) for unit in plan.units()]
    seconds = [result.seconds for result in results if result is not None]
    missing = len(results) - len(seconds)
    if not seconds or not missing:
        return ""
    return f"; about {missing * sum(seconds) / len(seconds) / 60:.0f} min, judged by the {len(seconds)} done"
