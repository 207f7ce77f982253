"""From cells and results to a finished table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from mase.evaluation.contrasts import Contrasts, Draws, averaged
from mase.evaluation.declaration import AVERAGE, TableParams, metric_of, task_of
from mase.evaluation.evidence import Evidence, Load, gather
from mase.evaluation.footnotes import footnotes
from mase.evaluation.plan import Cell, lacking
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
        columns: the shown columns, in order; the averages last where there are any.
        averages: the shown averages: name -> the columns behind it, shown or not.
        cells: (row, column) -> summary, complete.
        constants: column -> score of the best constant prediction, for the columns that have one.
        frame: tidy: row, column, seed, metric, value, digest; every metric of every unit.
        notes: the footer.
        seconds: digest of each unit -> its training time.
    """

    declaration: TableParams
    tasks: dict[str, TaskParams]
    columns: tuple[str, ...]
    averages: dict[str, tuple[str, ...]]
    cells: dict[Position, CellSummary]
    constants: dict[str, float]
    frame: pd.DataFrame
    notes: tuple[str, ...]
    seconds: dict[str, float]

    def title(self, column: str) -> str:
        """Return what a reader calls the column."""
        if column in self.averages:
            return "Average" if column == AVERAGE else f"Average, {column}"
        titles = {task_of(other): task.title for other, task in self.tasks.items()}
        title = titles.get(task_of(column), task_of(column))
        metric = metric_of(column)
        return self.declaration.titles.get(column) or (title if metric is None else f"{title}, {metric}")

    def metric(self, column: str) -> str:
        """Return the name of the metric that a column shows, "mean" for an average."""
        if column in self.averages:
            return "mean"
        return metric_of(column) or (self.tasks[column].main_metric if column in self.tasks else "")

    def is_small(self, column: str) -> bool:
        """Tell whether a column has fewer than 200 evaluation examples."""
        examples = [cell.examples for (_, name), cell in self.cells.items() if name == column and cell.n]
        return column not in self.averages and 0 < min(examples, default=0) < ENOUGH_EXAMPLES


def tidy(evidence: dict[Position, Evidence]) -> pd.DataFrame:
    """Return every metric of every unit: row, column, seed, metric, value, digest.

    A column that names a metric has that one.
    """
    records = [
        (row, column, seed, metric, value, digest)
        for (row, column), found in evidence.items()
        for seed, digest, scores in zip(found.seeds, found.digests, found.scores, strict=True)
        for metric, value in scores.items()
        if metric_of(column) in (None, metric)
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
    row, Holm-adjusted over the rows of its column. An average has a number for a row only if
    all of its columns have one; it is left out where fewer than two of them are asked for.

    Args:
        cells: from `plan`.
        load: returns a unit's result or None; by default from the unit's folder.
        notes: lines for the footer, above the table's own.
        resamples: of the bootstrap.

    Raises:
        ArtifactError: if a finished unit's predictions cannot be read or do not fit its cell.
    """
    shown = list(dict.fromkeys(cell.column for cell in cells))
    averages = _shown_averages(table, shown)
    cells = [*cells, *_behind(averages, shown, cells)]
    gathered = {(cell.row, cell.column): gather(cell, load) for cell in cells}
    evidence = {place: found for place, found in gathered.items() if isinstance(found, Evidence)}
    summaries: dict[Position, CellSummary] = {}
    draws: dict[str, dict[Position, Draws]] = {}
    for column in dict.fromkeys(cell.column for cell in cells):
        mine = {row: found for (row, name), found in evidence.items() if name == column}
        contrasts = Contrasts(column, mine, resamples)
        draws[column] = column_draws(contrasts, table)
        found = [
            summarised(cell, gathered[cell.row, column], contrasts, table)
            for cell in cells
            if cell.column == column
        ]
        summaries |= {(cell.row, column): cell for cell in marked(found, draws[column], table)}
    for name, columns in averages.items():
        summaries |= _averages(table, name, columns, summaries, [draws[column] for column in columns])
    first = {column: found for (_, column), found in reversed(evidence.items())}
    visible = {place: found for place, found in evidence.items() if place[1] in shown}
    return Table(
        declaration=table,
        tasks={column: found.task for column, found in first.items()},
        columns=(*shown, *averages),
        averages=averages,
        cells=summaries,
        constants={c: f.chance for c, f in first.items() if f.chance is not None},
        frame=tidy(visible),
        notes=(*notes, *footnotes(table, evidence), *_missing_data(cells)),
        seconds={digest: t for found in evidence.values() for digest, t in found.seconds.items()},
    )


def _shown_averages(table: TableParams, shown: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the averages, over what is shown of their columns' tasks."""
    tasks = {task_of(column) for column in shown}
    found = {
        name: tuple(c for c in columns if c in shown or (c not in table.columns and task_of(c) in tasks))
        for name, columns in table.averaged.items()
    }
    return {name: columns for name, columns in found.items() if len(columns) > 1}


def _behind(averages: dict[str, tuple[str, ...]], shown: Sequence[str], cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of columns that only an average needs, with the units of their tasks."""
    hidden = dict.fromkeys(c for columns in averages.values() for c in columns if c not in shown)
    twins: dict[tuple[str, str], Cell] = {(cell.row, task_of(cell.column)): cell for cell in cells}
    return [
        replace(twin, column=column)
        for column in hidden
        for (_, task), twin in twins.items()
        if task == task_of(column)
    ]


def _missing_data(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each task without data: what is missing."""
    return [f"no data: {reason}" for reason in lacking(cells)]


def _averages(
    table: TableParams,
    name: str,
    columns: Sequence[str],
    summaries: dict[Position, CellSummary],
    draws: Sequence[dict[Position, Draws]],
) -> dict[Position, CellSummary]:
    """Return one average column."""
    shared = [pair for pair in draws[0] if all(pair in found for found in draws)]
    parts = {pair: [found[pair] for found in draws] for pair in shared}
    rows = [row for row in table.rows if (row.label, columns[0]) in summaries]
    cells = [
        average(
            row, name, [summaries[row.label, c] for c in columns], parts.get((row.label, table.reference), [])
        )
        for row in rows
    ]
    means = {pair: averaged(found) for pair, found in parts.items()}
    return {(cell.row, name): cell for cell in marked(cells, means, table)}
