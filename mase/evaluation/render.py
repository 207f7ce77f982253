"""Write a finished table for the terminal, Markdown, LaTeX, HTML and CSV. Text is escaped in each."""

import csv
import html
import io
import re
from collections.abc import Callable, Iterable

from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from mase.evaluation.declaration import RowParams
from mase.evaluation.layout import MARKS, Grid, GridCell, GridRow, clean, grids, notes, quoted_line
from mase.evaluation.summaries import CellSummary
from mase.evaluation.tables import Table

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "−": r"$-$", "–": "--", "≥": r"$\geq$", "[": "{[}", "]": "{]}",
}  # fmt: skip
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def symbols(marks: Iterable[str]) -> str:
    """Return the symbols of marks, comma-separated."""
    return ",".join(MARKS[mark][0] for mark in marks)


def escape_markdown(text: str) -> str:
    """Escape text for a Markdown table cell; `<`, `>` and `&` become entities."""
    return MARKDOWN_SPECIAL.sub(r"\\\1", html.escape(clean(text), quote=False))


def escape_latex(text: str) -> str:
    """Escape text for LaTeX; brackets too, for they could be read as an option of a row's end."""
    return "".join(LATEX_SPECIAL.get(character, character) for character in clean(text))


def _width(grid: Grid, row: GridRow, at: int) -> int:
    """Return the width of a cell that is written in two lines where it can be."""
    cell = row[at]
    seconds = (len(quoted_line(grid, row, at)), *map(len, cell.lines[1:]))
    return max(len(cell.first) + len(symbols(cell.marks)) + 1, *seconds)


def _blocks(grid: Grid, width: int) -> list[list[int]]:
    """Split a grid's score or difference columns so that each block fits the width."""
    rows = [row for _, rows in grid.groups for row in rows]
    sizes = [
        max([len(head.title) + 2, *(_width(grid, row, i) for row in rows)]) + 3
        for i, head in enumerate(grid.columns)
    ]
    blocks: list[list[int]] = [[]]
    for i, head in enumerate(grid.columns):
        if head.kind in ("score", "difference"):
            if blocks[-1] and sizes[0] + sum(sizes[j] for j in (*blocks[-1], i)) > width:
                blocks.append([])
            blocks[-1].append(i)
    return blocks


def _terminal_cell(grid: Grid, row: GridRow, at: int) -> Text:
    """Return a cell with its marks; its second line, or the paper's numbers, dimmed below."""
    cell = row[at]
    text = Text(cell.first, style="dim" if cell.muted else "")
    if cell.marks:
        text.append(f" {symbols(cell.marks)}", style="bold")
    for line in (*cell.lines[1:], quoted_line(grid, row, at)):
        if line:
            text.append(f"\n{line}", style="dim")
    return text


def _terminal_grid(grid: Grid, width: int) -> list[RichTable | Text]:
    """Return a grid as one or more tables, with the row labels repeated, so that it fits the width."""
    parts: list[RichTable | Text] = [Text(grid.title, style="bold")]
    for block in _blocks(grid, width):
        drawn = RichTable(show_edge=False, pad_edge=False, header_style="bold")
        drawn.add_column("")
        for at in block:
            mark = symbols(grid.columns[at].marks)
            drawn.add_column(Text(f"{grid.columns[at].title} {mark}".strip()), justify="right", no_wrap=False)
        for _, rows in grid.groups:
            drawn.add_section()
            for row in rows:
                label = Text(row[0].text, style="dim" if row[0].muted else "")
                drawn.add_row(label, *(_terminal_cell(grid, row, at) for at in block))
        parts += [drawn, Text("")]
    return parts


def to_terminal(table: Table, console: Console | None = None) -> None:
    """Print a table, in blocks of columns that fit the console's width."""
    console = console or Console()
    for grid in grids(table):
        console.print(Group(*_terminal_grid(grid, console.width)))
    for line in notes(table):
        console.print(Text(line, style="dim"))


def _markdown_cell(cell: GridCell) -> str:
    mark = f" <sup>{escape_markdown(symbols(cell.marks))}</sup>" if cell.marks else ""
    return escape_markdown(cell.text) + mark


def _markdown_grid(grid: Grid) -> list[str]:
    heads = [_markdown_cell(GridCell(head.title, head.marks)) for head in grid.columns]
    lines = [f"**{escape_markdown(grid.title)}**", ""]
    lines += [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, rows in grid.groups:
        lines.append(f"| *{escape_markdown(name)}* |" + " |" * (len(heads) - 1))
        lines += [f"| {' | '.join(_markdown_cell(cell) for cell in row)} |" for row in rows]
    return [*lines, ""]


def to_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [line for grid in grids(table) for line in _markdown_grid(grid)]
    return "\n".join([*lines, *(f"- {escape_markdown(line)}" for line in notes(table))]) + "\n"


def _latex_cell(cell: GridCell) -> str:
    mark = rf"\textsuperscript{{{escape_latex(symbols(cell.marks))}}}" if cell.marks else ""
    text = escape_latex(cell.text) + mark
    return rf"\textcolor{{gray}}{{{text}}}" if cell.muted and text else text


def _latex_grid(grid: Grid) -> list[str]:
    width = len(grid.columns)
    heads = [_latex_cell(GridCell(head.title, head.marks)) for head in grid.columns]
    lines = [
        rf"\caption*{{{escape_latex(grid.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
    ]
    lines.append(" & ".join(heads) + r" \\")
    for name, rows in grid.groups:
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape_latex(name)}}}}} \\"]
        lines += [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in rows]
    return [*lines, r"\bottomrule", r"\end{tabular}", "", r"\medskip"]


def to_latex(table: Table) -> str:
    """Return a table as LaTeX; it needs the packages booktabs, xcolor and caption."""
    lines = ["% needs booktabs, xcolor, caption", r"\begin{table*}", r"\centering\footnotesize"]
    lines += [r"\setlength{\tabcolsep}{3pt}", *(line for grid in grids(table) for line in _latex_grid(grid))]
    lines += [r"\raggedright\scriptsize", *(rf"{escape_latex(line)}\par" for line in notes(table))]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _html_cell(grid: Grid, row: GridRow, at: int) -> str:
    """Return a cell; its second line, or the paper's numbers, small below."""
    cell, kind = row[at], grid.columns[at].kind
    mark = f"<sup>{html.escape(symbols(cell.marks))}</sup>" if cell.marks else ""
    tag = 'th scope="row"' if kind == "label" else "td"
    muted = " muted" if cell.muted else ""
    below = [
        f"<br><small>{html.escape(line)}</small>"
        for line in (*cell.lines[1:], quoted_line(grid, row, at))
        if line
    ]
    text = f"{html.escape(cell.first)}{mark}{''.join(below)}"
    return f'<{tag} class="{kind}{muted}">{text}</{tag.split()[0]}>'


def _html_grid(grid: Grid) -> list[str]:
    drawn = [at for at, head in enumerate(grid.columns) if head.kind != "quoted"]
    lines = [f"<table><caption>{html.escape(grid.title)}</caption>", "<thead><tr>"]
    for at in drawn:
        head = grid.columns[at]
        mark = f"<sup>{html.escape(symbols(head.marks))}</sup>" if head.marks else ""
        lines.append(f'<th scope="col" class="{head.kind}">{html.escape(head.title)}{mark}</th>')
    lines.append("</tr></thead>")
    for name, rows in grid.groups:
        lines.append(f'<tbody><tr class="group"><th colspan="{len(drawn)}">{html.escape(name)}</th></tr>')
        for row in rows:
            lines.append(f"<tr>{''.join(_html_cell(grid, row, at) for at in drawn)}</tr>")
        lines.append("</tbody>")
    return [*lines, "</table>"]


def to_html(table: Table) -> str:
    """Return a table as an HTML fragment: one `<table>` per grid and a list of notes."""
    lines = [line for grid in grids(table) for line in _html_grid(grid)]
    lines += ['<ul class="notes">', *(f"<li>{html.escape(line)}</li>" for line in notes(table)), "</ul>"]
    return "\n".join(lines) + "\n"


def _text_field(text: str) -> str:
    """Return text that a spreadsheet shows as text and does not run as a formula."""
    text = clean(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _record(table: Table, row: RowParams, cell: CellSummary) -> dict[str, object]:
    """Return one line of the CSV file, scores and differences in per cent."""
    found, interval = cell.comparison, cell.interval

    def cent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.4f}"

    record: dict[str, object] = {
        "row": _text_field(row.label), "group": row.group, "column": cell.column,
        "metric": table.metric(cell.column) or "mean", "seeds": cell.n, "seeds_asked": cell.asked,
        "examples": cell.examples or "", "mean": cent(cell.mean) if cell.n else "", "sd": cent(cell.sd),
        "mean_low": cent(interval and interval[0]), "mean_high": cent(interval and interval[1]),
        "difference": cent(found and found.difference), "difference_low": cent(found and found.low),
        "difference_high": cent(found and found.high), "detectable": cent(found and found.detectable),
    }  # fmt: skip
    tests = {"p": found and found.p, "p_holm": cell.holm_p}
    tests |= {"p_sign_flip": found and found.sign_flip, "p_mcnemar": found and found.mcnemar}
    record |= {name: "" if p is None else f"{p:.6f}" for name, p in tests.items()}
    quoted = {f"quoted {b}": row.paper.get(b, {}).get(cell.column, "") for b in table.declaration.quoted}
    return record | quoted | {"marks": " ".join(cell.marks), "reason": _text_field(cell.reason)}


def to_csv(table: Table) -> str:
    """Return a table as CSV, one line per cell with every statistic, in per cent and points."""
    cells = table.cells
    records = [
        _record(table, row, cells[row.label, column])
        for row in table.declaration.rows
        for column in table.columns
        if (row.label, column) in cells
    ]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, records[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


FORMATS: dict[str, Callable[[Table], str]] = {
    "md": to_markdown, "csv": to_csv, "tex": to_latex, "html": to_html,
}  # fmt: skip
