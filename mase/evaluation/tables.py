"""From cells and results to a finished table."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mase.evaluation.contrasts import Contrasts, Draws, averaged
from mase.evaluation.declaration import AVERAGE, TableParams
from mase.evaluation.evidence import Evidence, Load, gather
from mase.evaluation.footnotes import footnotes
from mase.evaluation.metrics import majority
from mase.evaluation.plan import Cell
from mase.evaluation.resampling import RESAMPLES
from mase.evaluation.summaries import CellSummary, average, column_draws, marked, summarised
from mase.params import TaskParams
from mase.units import load_result

ENOUGH_EXAMPLES = 200

Position = tuple[str, str]  # (row, column), or (row, rival row) within one column


@dataclass(frozen=True)
class Table:
    """A finished table.

    Attributes:
        tasks: column -> task, for the columns with at least one result.
        columns: the shown columns, in order; the average last where there is one.
        cells: (row, column) -> summary, complete.
        constants: column -> score of the best constant prediction.
        frame: tidy: row, column, seed, metric, value, digest; every metric of every unit.
        notes: the footer.
        seconds: digest of each unit -> its training time.
    """

    declaration: TableParams
    tasks: dict[str, TaskParams]
    columns: tuple[str, ...]
    cells: dict[Position, CellSummary]
    constants: dict[str, float]
    frame: pd.DataFrame
    notes: tuple[str, ...]
    seconds: dict[str, float]

    def title(self, column: str) -> str:
        """Return what a reader calls the column."""
        return (
            "Average" if column == AVERAGE else self.tasks[column].title if column in self.tasks else column
        )

    def is_small(self, column: str) -> bool:
        """Tell whether a column has fewer than 200 evaluation examples."""
        examples = [cell.examples for (_, name), cell in self.cells.items() if name == column and cell.n]
        return column != AVERAGE and 0 < min(examples, default=0) < ENOUGH_EXAMPLES


def tidy(evidence: dict[Position, Evidence]) -> pd.DataFrame:
    """Return every metric of every unit: row, column, seed, metric, value, digest."""
    records = [
        (row, column, seed, metric, value, digest)
        for (row, column), found in evidence.items()
        for seed, digest, scores in zip(found.seeds, found.digests, found.scores, strict=True)
        for metric, value in scores.items()
    ]
    return pd.DataFrame.from_records(records, columns=["row", "column", "seed", "metric", "value", "digest"])


def build_table(
    table: TableParams,
    cells: Sequence[Cell],
    *,
    load: Load = load_result,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Table:
    """Build a table from whatever units of its cells are done.

    The p-value of a cell is a paired bootstrap over examples and seeds against the reference
    row, Holm-adjusted over the rows of its column. With at least two columns there is an
    average, in which a row has a number only if all of its columns have one.

    Args:
        cells: from `plan`.
        load: returns a unit's result or None; by default from the unit's folder.
        notes: lines for the footer, above the table's own.
        resamples: of the bootstrap.

    Raises:
        ArtifactError: if a finished unit's predictions cannot be read or do not fit its cell.
    """
    columns = list(dict.fromkeys(cell.column for cell in cells))
    evidence = {(c.row, c.column): found for c in cells if (found := gather(c, load)) is not None}
    summaries: dict[Position, CellSummary] = {}
    draws: dict[str, dict[Position, Draws]] = {}
    for column in columns:
        contrasts = Contrasts(
            column, {r: found for (r, c), found in evidence.items() if c == column}, resamples
        )
        draws[column] = column_draws(contrasts, table)
        mine = [summarised(cell, contrasts, table) for cell in cells if cell.column == column]
        summaries |= {(cell.row, column): cell for cell in marked(mine, draws[column], table)}
    if len(columns) > 1:
        summaries |= _averages(table, columns, summaries, [draws[column] for column in columns])
    first = {column: found for (_, column), found in reversed(evidence.items())}
    times = {d: t for found in evidence.values() for d, t in zip(found.digests, found.seconds, strict=True)}
    return Table(
        declaration=table,
        tasks={column: found.task for column, found in first.items()},
        columns=(*columns, AVERAGE) if len(columns) > 1 else tuple(columns),
        cells=summaries,
        constants={c: majority(f.task, f.labels)[f.task.main_metric] for c, f in first.items()},
        frame=tidy(evidence),
        notes=(*notes, *footnotes(table, evidence)),
        seconds=times,
    )


def _averages(
    table: TableParams,
    columns: Sequence[str],
    summaries: dict[Position, CellSummary],
    draws: Sequence[dict[Position, Draws]],
) -> dict[Position, CellSummary]:
    """Return the average column."""
    shared = [pair for pair in draws[0] if all(pair in found for found in draws)]
    parts = {pair: [found[pair] for found in draws] for pair in shared}
    rows = [row for row in table.rows if (row.label, columns[0]) in summaries]
    cells = [
        average(row, [summaries[row.label, c] for c in columns], parts.get((row.label, table.reference), []))
        for row in rows
    ]
    means = {pair: averaged(found) for pair, found in parts.items()}
    return {(cell.row, AVERAGE): cell for cell in marked(cells, means, table)}
