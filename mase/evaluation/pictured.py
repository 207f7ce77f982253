"""Which rows of a table Figure 5 shows, and which units their features are of."""

from collections.abc import Sequence

from mase.evaluation.declaration import RowParams, TableParams, task_of
from mase.evaluation.plan import Cell
from mase.units import Unit

CONCATENATION, RANDOM = "methods/mpb", "controls/random_towers"


def pictured_rows(table: TableParams) -> list[RowParams]:
    """Return MPB, the primary row, and the primary row's random placebo, as far as a table has them.

    They are rows of the primary row's language model and overrides, so that they differ in the method alone.
    """
    primary = table.row(table.primary)
    alike = [
        row
        for row in table.rows
        if row.available and (row.backbone, row.overrides) == (primary.backbone, primary.overrides)
    ]
    mpb = [row for row in alike if row.overlays == (CONCATENATION,)]
    placebos = [row for row in alike if row.placebo and RANDOM in row.overlays]
    return [*mpb[:1], primary, *placebos[:1]]


def pictured_units(table: TableParams, cells: Sequence[Cell]) -> dict[str, dict[str, list[Unit]]]:
    """Return task -> label of a row -> its units, one per seed (of folds the first)."""
    labels = [row.label for row in pictured_rows(table)]
    found: dict[str, dict[str, list[Unit]]] = {}
    for label in labels:
        for cell in cells:
            if cell.row == label and cell.units:
                firsts = [units[0] for units in cell.seeds().values()]
                found.setdefault(task_of(cell.column), {}).setdefault(label, firsts)
    return found


def has_model(unit: Unit) -> bool:
    """Tell whether a unit keeps its model (`mase.units.train` with `keep_model`)."""
    return (unit.folder / "model" / "params.yaml").exists()
