"""One word per row of a table: gain, placebo-equal, loss, no difference, underpowered.

A row without an asterisk is not a row without an effect: with few examples and seeds most true gains
stay unseen. So "no difference" is said only where the interval leaves no room for one that matters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mase.evaluation.declaration import RowParams
from mase.evaluation.layout import clean, interval_points, p_text, points
from mase.evaluation.summaries import ALPHA, PLACEBO, CellSummary
from mase.evaluation.tables import Table

Word = Literal[
    "gain", "gain, cause open", "placebo-equal", "loss", "no difference", "underpowered", "no result"
]
MARGIN = 0.005  # half a point: the smallest difference that matters here


@dataclass(frozen=True)
class Verdict:
    """What may be said of a row in a column, against the table's reference row.

    Attributes:
        difference, low, high: of the scores, as shares; None without a comparison.
        p: Holm-adjusted over the rows of the column.
        detectable: the smallest true difference that this many examples and seeds find with 80% power.
        why: the word, in a sentence.
    """

    row: str
    column: str
    word: Word
    why: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None


def verdicts(table: Table, margin: float = MARGIN) -> list[Verdict]:
    """Judge every row but the reference in every shown column.

    Args:
        margin: the difference that matters, as a share.

    gain: above the reference (adjusted p < 0.05) and above every placebo that ran; "cause open" if none
        ran. placebo-equal: above the reference, as a placebo is too, or not established above one.
    loss: below the reference. no difference: not established, and the whole interval is within the
        margin. underpowered: not established, and a difference of the margin is not excluded.
    """
    return list(_judged(table, margin))


def _judged(table: Table, margin: float) -> Iterator[Verdict]:
    placebos = [row.label for row in table.declaration.rows if row.placebo]
    for column in table.columns:
        ran = sum((label, column) in table.cells and table.cells[label, column].n > 0 for label in placebos)
        for row in table.declaration.rows:
            cell = table.cells.get((row.label, column))
            if cell is not None and row.label != table.declaration.reference:
                yield verdict(row, cell, clean(table.declaration.reference), placebos=ran, margin=margin)


def verdict(
    row: RowParams, cell: CellSummary, reference: str, *, placebos: int, margin: float = MARGIN
) -> Verdict:
    """Judge one cell; `placebos` is how many placebo rows have a result in its column."""
    found = cell.comparison
    if found is None or cell.holm_p is None:
        return Verdict(row.label, cell.column, "no result", cell.reason or "nothing to compare with")
    word, why = _word(row, cell, reference, placebos=placebos, margin=margin)
    numbers = (found.difference, found.low, found.high, cell.holm_p, found.detectable)
    return Verdict(row.label, cell.column, word, why, *numbers)


def _word(
    row: RowParams, cell: CellSummary, reference: str, *, placebos: int, margin: float
) -> tuple[Word, str]:
    found = cell.comparison
    assert found is not None and cell.holm_p is not None
    if cell.holm_p < ALPHA and found.difference < 0:
        return "loss", f"below {reference}"
    if cell.holm_p < ALPHA and row.placebo:
        return "placebo-equal", f"above {reference} although it is a placebo itself"
    if cell.holm_p < ALPHA and PLACEBO in cell.marks:
        return (
            "placebo-equal",
            f"above {reference}, but not established above a placebo, so the proxies get no credit",
        )
    if cell.holm_p < ALPHA and not placebos:
        return "gain, cause open", f"above {reference}; no placebo was run, so the cause is open"
    if cell.holm_p < ALPHA:
        return "gain", f"above {reference} and above every placebo"
    size = f"{100 * margin:g} points"
    if -margin <= found.low and found.high <= margin:
        return "no difference", f"not established, and more than {size} either way is excluded"
    return "underpowered", f"not established, and {size} is not excluded"


def line(found: Verdict) -> str:
    """Return a verdict's numbers to read: "+0.4 [-0.2, +1.0] p=.21, finds 0.9 or more"."""
    if found.difference is None or found.low is None or found.high is None:
        return found.why
    assert found.p is not None and found.detectable is not None
    interval = interval_points(found.low, found.high)
    size = f"smallest detectable {100 * found.detectable:.1f}"
    return f"{points(found.difference)} {interval} {p_text(found.p)}, {size}; {found.why}"
