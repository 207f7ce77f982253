"""One cell of a table in numbers: scores over seeds, the comparison, and what a reader must know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mase.evaluation.contrasts import Contrasts, Draws, averaged
from mase.evaluation.declaration import RowParams, TableParams
from mase.evaluation.evidence import Evidence
from mase.evaluation.plan import Cell
from mase.evaluation.significance import Comparison, compare, holm, t_interval

SIGNIFICANT, PLACEBO, CHANCE, CONSTANT = "significant", "placebo", "chance", "constant"
ALPHA = 0.05

ColumnDraws = Mapping[tuple[str, str], Draws]  # (row, rival) -> draws of row minus rival


@dataclass(frozen=True)
class CellSummary:
    """One cell of a finished table. Scores are shares, not per cent.

    Attributes:
        asked: how many seeds were asked for.
        scores: seed -> the column's metric, for the seeds that are done.
        examples: evaluation examples behind each score.
        comparison, holm_p: against the reference row; None for that row itself.
        marks: what a reader must know, keys of `layout.MARKS`.
        reason: why there are no scores, or no comparison; empty otherwise.
    """

    row: str
    column: str
    asked: int
    scores: dict[int, float]
    examples: int = 0
    comparison: Comparison | None = None
    holm_p: float | None = None
    marks: tuple[str, ...] = ()
    reason: str = ""

    @property
    def n(self) -> int:
        """Seeds behind the mean."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        """Mean over seeds; only for a cell with scores."""
        return float(np.mean(list(self.scores.values())))

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds, None for fewer than two."""
        return float(np.std(list(self.scores.values()), ddof=1)) if self.n > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95% interval of the mean over seeds, None for fewer than two."""
        return t_interval(list(self.scores.values()))


def column_draws(contrasts: Contrasts, table: TableParams) -> dict[tuple[str, str], Draws]:
    """Return the draws of every row against the reference and against every placebo."""
    rivals = [table.reference, *(row.label for row in table.rows if row.placebo)]
    return {
        (row.label, rival): contrasts.draws(row.label, rival)
        for row in table.rows
        for rival in rivals
        if row.label != rival and contrasts.comparable(row.label, rival)
    }


def summarised(cell: Cell, found: Evidence | str, contrasts: Contrasts, table: TableParams) -> CellSummary:
    """Summarise a cell, without the marks that depend on other cells.

    Args:
        found: what its units predicted, or why there is nothing.
        contrasts: of the cell's column.
    """
    summary = CellSummary(cell.row, cell.column, cell.asked, {})
    if isinstance(found, str):
        return replace(summary, reason=found)
    scores = dict(zip(found.seeds, found.main_scores, strict=True))
    marks = (CONSTANT,) * (found.collapsed > 0) + (CHANCE,) * (contrasts.above_constant(cell.row) is False)
    summary = replace(summary, scores=scores, examples=found.labels.size, marks=marks)
    if cell.row == table.reference:
        return summary
    if contrasts.comparable(cell.row, table.reference):
        return replace(summary, comparison=contrasts.comparison(cell.row, table.reference))
    missing = table.reference not in contrasts.evidence
    return replace(summary, reason="reference not run" if missing else "other examples")


def average(row: RowParams, name: str, parts: Sequence[CellSummary], draws: Sequence[Draws]) -> CellSummary:
    """Average a row over columns, seed by seed, if every column has the same seeds.

    Args:
        name: of the average.
        parts: the row's cells.
        draws: of the row against the reference, one per column where there is one.
    """
    summary = CellSummary(row.label, name, parts[0].asked, {}, min(part.examples for part in parts))
    if any(part.n == 0 for part in parts):
        return replace(summary, reason="incomplete" if row.available else "not available")
    if any(part.scores.keys() != parts[0].scores.keys() for part in parts):
        return replace(summary, reason="seeds differ")
    scores = {seed: float(np.mean([part.scores[seed] for part in parts])) for seed in parts[0].scores}
    comparison = compare(*averaged(draws)) if len(draws) == len(parts) else None
    return replace(summary, scores=scores, comparison=comparison)


def no_better_than_placebo(row: RowParams, draws: ColumnDraws, table: TableParams) -> bool:
    """Tell whether a row's gain over the reference is one that a placebo shows as well.

    That is so if the row is above the reference, and some placebo row's mean is as high; or if
    the gain's 95% interval is above 0, but not that of the difference to some placebo row.
    """
    found = draws.get((row.label, table.reference))
    if found is None or found[0] <= 0 or row.group not in ("method", "ablation"):
        return False
    established = compare(*found).low > 0
    placebos = [(row.label, other.label) for other in table.rows if other.placebo]
    against = [compare(*draws[pair]) for pair in placebos if pair in draws]
    return any(c.difference <= 0 or (established and c.low <= 0) for c in against)


def marked(cells: Sequence[CellSummary], draws: ColumnDraws, table: TableParams) -> list[CellSummary]:
    """Add Holm's correction over the rows of one column, and the marks that follow."""
    compared = {cell.row: cell.comparison.p for cell in cells if cell.comparison}
    adjusted = dict(zip(compared, holm(list(compared.values())), strict=True))
    result = []
    for cell in cells:
        p = adjusted.get(cell.row)
        marks = (SIGNIFICANT,) * (p is not None and p < ALPHA)
        marks += (PLACEBO,) * no_better_than_placebo(table.row(cell.row), draws, table)
        result.append(replace(cell, holm_p=p, marks=(*marks, *cell.marks)))
    return result
