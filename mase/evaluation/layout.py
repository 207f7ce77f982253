"""A finished table as grids of plain text, which the renderers only escape and draw."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mase.evaluation.declaration import RowParams, task_of
from mase.evaluation.summaries import CHANCE, CONSTANT, PLACEBO, SIGNIFICANT, CellSummary
from mase.evaluation.tables import Table

SMALL = "small"
MARKS: dict[str, tuple[str, str]] = {  # key -> symbol, legend
    SIGNIFICANT: ("*", "differs from {reference}, adjusted p < 0.05"),
    PLACEBO: (
        "p",
        "above {reference}, but not established above a placebo row: its mean is as high, or the 95% "
        "interval of the difference to it includes 0",
    ),
    CHANCE: ("c", "at chance: not above the best constant prediction (95% interval)"),
    CONSTANT: ("k", "at least one seed predicts the same for every example"),
    SMALL: ("s", "fewer than 200 evaluation examples"),
}
GROUPS = {"reference": "Reference", "method": "Methods", "ablation": "Ablations", "control": "Controls"}
NOTHING = "–"
WIDEST_REASON = len("not computed (no java)")

Kind = Literal["label", "score", "quoted", "difference"]


@dataclass(frozen=True)
class GridCell:
    """Text of one cell, and keys of `MARKS` to set beside it.

    Attributes:
        lines: the same text in two lines, for renderers that can; empty for one line.
    """

    text: str
    marks: tuple[str, ...] = ()
    muted: bool = False
    lines: tuple[str, str] | tuple[()] = ()

    @property
    def first(self) -> str:
        """The text, or the first of its two lines."""
        return self.lines[0] if self.lines else self.text


GridRow = tuple[GridCell, ...]


@dataclass(frozen=True)
class GridColumn:
    """The head of one column."""

    title: str
    kind: Kind
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A rectangle of text: columns, and groups of rows of one `GridCell` per column."""

    title: str
    columns: tuple[GridColumn, ...]
    groups: tuple[tuple[str, tuple[GridRow, ...]], ...]

    def marks(self) -> set[str]:
        """Return the keys of the marks that are used."""
        cells = [cell for _, rows in self.groups for row in rows for cell in row]
        return {mark for part in (*self.columns, *cells) for mark in part.marks}


def quoted_line(grid: Grid, row: GridRow, at: int) -> str:
    """Return the paper's numbers that stand in the column after `at`, as a second line; "" for none."""
    follows = at + 1 < len(grid.columns) and grid.columns[at + 1].kind == "quoted"
    return f"q {row[at + 1].text}" if follows and row[at + 1].text[:1].isdigit() else ""


def clean(text: str) -> str:
    """Return text on one line, without control characters (an escape sequence could repaint a terminal)."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def points(value: float) -> str:
    """Return a share as signed percentage points, with a true minus sign."""
    return f"{100 * value:+.1f}".replace("-", "−").replace("−0.0", "+0.0")


def interval_points(low: float, high: float) -> str:
    """Return an interval of shares in signed percentage points: "[−0.1, +1.6]"."""
    return f"[{points(low)}, {points(high)}]"


def p_text(p: float) -> str:
    """Return a p-value to read: "p<.001", "p=.012", "p=.35", "p=1"."""
    if p < 0.001:
        return "p<.001"
    rounded = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return "p=1" if float(rounded) >= 1 else f"p={rounded.removeprefix('0')}"


def short_reason(reason: str) -> str:
    """Return why there is no score, without its brackets if it would widen the column."""
    return reason if len(reason) <= WIDEST_REASON else reason.partition(" (")[0]


def score_cell(cell: CellSummary) -> GridCell:
    """Return "91.2 ±0.3", with the number of seeds where it is not the number asked for."""
    if not cell.n:
        return GridCell(short_reason(cell.reason), muted=True)
    spread = "" if cell.sd is None else f" ±{100 * cell.sd:.1f}"
    seeds = "" if cell.n == cell.asked else f" ({cell.n} of {cell.asked} seeds)"
    return GridCell(f"{100 * cell.mean:.1f}{spread}{seeds}", cell.marks)


def difference_cell(cell: CellSummary) -> GridCell:
    """Return "+0.8 [−0.1, +1.6] p=.12" in points, or why there is none."""
    found = cell.comparison
    if found is None or cell.holm_p is None:
        return GridCell(short_reason(cell.reason) or NOTHING, muted=True)
    difference, p = points(found.difference), p_text(cell.holm_p)
    interval = interval_points(found.low, found.high)
    marks = tuple(mark for mark in cell.marks if mark in (SIGNIFICANT, PLACEBO))
    return GridCell(f"{difference} {interval} {p}", marks, lines=(f"{difference} {p}", interval))


def quoted_cell(table: Table, row: RowParams, column: str) -> GridCell:
    """Return the paper's numbers for a cell, in the order of the declaration's base models."""
    averaged = column in table.averages
    incomplete = averaged and table.averages[column] != table.declaration.averaged[column]
    numbers = {base: row.paper[base].get(column) for base in table.declaration.quoted if base in row.paper}
    if incomplete or not numbers:
        return GridCell(NOTHING, muted=True)
    digits = 2 if averaged else 1
    parts = [NOTHING if value is None else f"{value:.{digits}f}" for value in numbers.values()]
    return GridCell(" / ".join(parts), muted=True)


def _column(table: Table, column: str, kind: Kind) -> GridColumn:
    marks = (SMALL,) if kind == "score" and table.is_small(column) else ()
    return GridColumn(clean(table.title(column)), kind, marks)


def _groups(rows: Iterable[tuple[RowParams, GridRow]]) -> tuple[tuple[str, tuple[GridRow, ...]], ...]:
    found: dict[str, list[GridRow]] = {}
    for row, cells in rows:
        label = GridCell(clean(row.label), muted=not row.available)
        found.setdefault(GROUPS[row.group], []).append((label, *cells))
    return tuple((name, tuple(rows)) for name, rows in found.items())


def _is_shown(table: Table, row: RowParams) -> bool:
    return (row.label, table.columns[0]) in table.cells


def constant_row(table: Table) -> tuple[GridCell, ...]:
    """Return the scores of the best constant prediction, one cell per shown column."""
    found = [table.constants.get(column) for column in table.columns]
    return tuple(GridCell(NOTHING if value is None else f"{100 * value:.1f}", muted=True) for value in found)


def score_grid(table: Table) -> Grid:
    """Return the scores, the paper's numbers beside them, and the best constant prediction."""
    shown = [row for row in table.declaration.rows if _is_shown(table, row)]
    quotes = any(row.paper for row in shown)
    heads = [GridColumn("", "label")]
    for column in table.columns:
        heads.append(_column(table, column, "score"))
        heads += [GridColumn("quoted", "quoted")] * quotes

    def cells(row: RowParams) -> tuple[GridCell, ...]:
        pairs = [(score_cell(table.cells[row.label, c]), quoted_cell(table, row, c)) for c in table.columns]
        return tuple(cell for ours, quoted in pairs for cell in ((ours, quoted) if quotes else (ours,)))

    groups = _groups((row, cells(row)) for row in shown)
    blank = (GridCell("", muted=True),) * quotes
    constant = [part for cell in constant_row(table) for part in (cell, *blank)]
    bottom = ("Chance", ((GridCell("Best constant prediction", muted=True), *constant),))
    return Grid(clean(table.declaration.title), tuple(heads), (*groups, bottom))


def difference_grid(table: Table) -> Grid:
    """Return the differences against the reference row, in points, for the rows that have any."""
    compared = [
        row
        for row in table.declaration.rows
        if any(table.cells[row.label, c].comparison for c in table.columns if _is_shown(table, row))
    ]
    heads = (GridColumn("", "label"), *(_column(table, c, "difference") for c in table.columns))
    rows = [
        (row, tuple(difference_cell(table.cells[row.label, c]) for c in table.columns)) for row in compared
    ]
    title = f"Difference from {clean(table.declaration.reference)}, in points"
    return Grid(title, heads, _groups(rows))


def grids(table: Table) -> list[Grid]:
    """Return the grids of a table: the scores, and the differences where there are any."""
    differences = difference_grid(table)
    return [score_grid(table), differences] if differences.groups else [score_grid(table)]


def _row_notes(table: Table) -> list[str]:
    """Return each row's note, once for rows that share it."""
    sharing: dict[str, list[str]] = {}
    for row in table.declaration.rows:
        if row.note and _is_shown(table, row):
            sharing.setdefault(row.note, []).append(row.label)
    for row in table.declaration.rows:
        for task, why in row.without.items():
            shown = next((c for c in table.columns if task_of(c) == task), None)
            if shown is not None and _is_shown(table, row):
                sharing.setdefault(f"not on {task}: {why}", []).append(row.label)
    return [f"{', '.join(labels)}: {note}." for note, labels in sharing.items()]


def notes(table: Table) -> list[str]:
    """Return the footer: how to read a cell, the marks that occur, and the table's notes."""
    asked = max((cell.asked for cell in table.cells.values()), default=0)
    used = {mark for grid in grids(table) for mark in grid.marks()}
    seeds = f"{asked} seeds" if asked != 1 else "1 seed"
    spread = "mean ± standard deviation over" if asked != 1 else "of"
    lines = [f"Per cent, {spread} {seeds}; a cell with another number of seeds says so."]
    reference = clean(table.declaration.reference)
    marks = [(symbol, legend) for key, (symbol, legend) in MARKS.items() if key in used]
    lines += [f"{symbol}  {legend.format(reference=reference)}." for symbol, legend in marks]
    if any(row.paper for row in table.declaration.rows):
        lines.append(f"quoted (q): {table.declaration.quoted_from}; {NOTHING} is not published.")
    lines += _row_notes(table)
    reasons = [(table.title(c), cell.reason) for (_, c), cell in table.cells.items() if c in table.columns]
    shortened = dict.fromkeys(pair for pair in reasons if short_reason(pair[1]) != pair[1])
    lines += [f"{title}: {reason}." for title, reason in shortened]
    return [clean(line) for line in (*lines, *table.notes)]
