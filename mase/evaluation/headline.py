"""The sentences that a reader should take away, whichever way they point."""

from mase.evaluation.declaration import AVERAGE, TableParams
from mase.evaluation.layout import clean, p_text, points
from mase.evaluation.summaries import ALPHA, PLACEBO, CellSummary
from mase.evaluation.tables import Table


def verdict(cell: CellSummary, reference: str, *, placebo: bool, placebos: int) -> str:
    """Return what a cell's comparison with the reference row says.

    A difference is established if its Holm-adjusted p-value is below 0.05, which is stricter
    than an interval without 0.

    Args:
        placebo: whether this row is a placebo itself.
        placebos: how many placebo rows have a result in this column.
    """
    found = cell.comparison
    if found is None or cell.holm_p is None:
        return f"no comparison ({cell.reason or 'no result'})"
    interval = f"[{points(found.low)}, {points(found.high)}]"
    numbers = f"{points(found.difference)} points {interval} {p_text(cell.holm_p)}"
    if found.detectable == 0:
        return f"{numbers}: scores like {reference} on every resample"
    if cell.holm_p >= ALPHA:
        missed = f"true differences below about {100 * found.detectable:.1f} points would often be missed"
        return f"{numbers}: no difference from {reference} established ({missed})"
    if found.difference < 0:
        return f"{numbers}: below {reference}"
    return f"{numbers}: above {reference}{_credit(cell, placebo, placebos)}"


def _credit(cell: CellSummary, placebo: bool, placebos: int) -> str:
    """Return what a gain can be credited to."""
    if placebo:
        return " although it is a placebo"
    if PLACEBO in cell.marks:
        return ", but not established above a placebo, so what the proxies say gets no credit"
    return ", and above every placebo" if placebos else "; no placebo was run, so the cause is open"


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
            said = verdict(table.cells[row.label, column], reference, placebo=row.placebo, placebos=ran)
            lines.append(f"{clean(row.label)}{kind}, {_where(table, column)}: {said}.")
    return lines
