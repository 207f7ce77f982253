"""A finished unit from its folder alone, wherever it lies and whatever code trained it."""

import json
from pathlib import Path

from mase.errors import DataError
from mase.evaluation.plan import Cell
from mase.params import Params, read_yaml, validate
from mase.units import RESULT, Unit, UnitResult


def finished_cell(folder: Path) -> tuple[Cell, UnitResult]:
    """Return a finished unit as the one unit of a cell, and its result.

    The folder's name is not held against the digest of its params: that changes with every version of
    the code, the predictions in the folder do not.

    Raises:
        DataError: if there is no finished unit in the folder.
        ParamsError: if its params do not validate.
    """
    try:
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        known = {k: content[k] for k in ("digest", "metrics", "allocation", "seconds", "counts")}
    except (OSError, json.JSONDecodeError, KeyError) as cause:
        raise DataError(
            f"{folder}: no finished unit ({cause!r}); give the folder that `mase train` prints"
        ) from cause
    params = validate(Params, read_yaml(folder / "params.yaml"), str(folder / "params.yaml"))
    unit = Unit(params, f"unit {known['digest'][:8]}")
    return Cell(unit.label, params.task.name, (unit,)), UnitResult(folder=folder, details={}, **known)
