"""The sentences that a reader should take away, whichever way they point."""

from mase.evaluation.declaration import AVERAGE, TableParams
from mase.evaluation.layout import clean, interval_points, p_text, points
from mase.evaluation.summaries import CellSummary
from mase.evaluation.tables import Table
from mase.evaluation.verdict import Verdict, verdict


def _said(cell: CellSummary, judged: Verdict, reference: str) -> str:
    """Return a verdict as a sentence; where nothing is established, with what could have been missed."""
    found = cell.comparison
    if found is None or cell.holm_p is None:
        return f"no comparison ({judged.why})"
    interval = interval_points(found.low, found.high)
    numbers = f"{points(found.difference)} points {interval} {p_text(cell.holm_p)}"
    if judged.word not in ("no difference", "underpowered"):
        return f"{numbers}: {judged.why}"
    if found.detectable == 0:
        return f"{numbers}: scores like {reference} on every resample"
    missed = f"true differences below about {100 * found.detectable:.1f} points would often be missed"
    return f"{numbers}: no difference from {reference} established ({missed})"


def _where(table: Table, column: str) -> str:
    if column == AVERAGE:
        return f"mean of {len(table.averages[AVERAGE])} tasks"
    return clean(table.title(column))


def _columns(table: Table, declaration: TableParams) -> list[str]:
    """Return the average where the primary row has one, else the tasks' columns, if they have any result."""
    average = table.cells.get((declaration.primary, AVERAGE))
    if average is not None and average.n:
        return [AVERAGE]
    columns = [column for column in table.columns if column not in table.averages]
    return [column for column in columns if column in table.tasks] or columns


def headline(table: Table) -> list[str]:
    """Return a few sentences: the primary row and the placebos against the reference.

    On the average where there is one, else task by task.
    """
    declaration = table.declaration
    reference = clean(declaration.reference)
    placebo_rows = [row for row in declaration.rows if row.placebo]
    lines = []
    for column in _columns(table, declaration):
        ran = sum(table.cells[row.label, column].n > 0 for row in placebo_rows)
        for row in (declaration.row(declaration.primary), *placebo_rows):
            kind = " (placebo)" if row.placebo else ""
            cell = table.cells[row.label, column]
            said = _said(cell, verdict(row, cell, reference, placebos=ran), reference)
            lines.append(f"{clean(row.label)}{kind}, {_where(table, column)}: {said}.")
    return lines
