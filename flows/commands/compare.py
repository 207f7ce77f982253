"""`mase compare`: which examples change between two units, or two rows of a table."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, request_options
from flows.commands.predict import unit_folder
from mase.errors import ParamsError

if TYPE_CHECKING:
    from flows.request import Request
    from mase.evaluation.flips import Flip, Flips
    from mase.evaluation.slices import Slice

HELP = """Compare two units, or two rows of a table: the examples that flip, and where the difference lies.

Differences are B minus A, with 95% intervals from a paired bootstrap over examples and seeds; those of the
slices are not adjusted for how many there are. Nothing is trained.

Example: mase compare 3f0a 91bc

Example: mase compare "Text only" "Full MASE" --table 6 --profile local --data-dir DIR --tasks mrpc --seeds 3
"""


@request_options.takes_request
def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="Unit (digest, its beginning, folder) or row label.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one of the same task.")],
    request: "Request",
    limit: Annotated[int, typer.Option(min=0, help="Flips of each kind to print.")] = 5,
    as_json: options.AsJson = False,
) -> None:
    """Compare two cells; `HELP` is what the user reads."""
    found = list(_rows(request, first, second)) if request.tables else [_units(first, second)]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
        return
    for one in found:
        typer.echo("\n".join(_lines(one, first, second, limit)))


def _units(first: str, second: str) -> "Flips":
    from mase.evaluation.finished import finished_cell
    from mase.evaluation.flips import compare_cells

    known = [finished_cell(unit_folder(name)) for name in (first, second)]
    results = [(cell.units[0], result) for cell, result in known]
    return compare_cells(known[0][0], known[1][0], lambda unit: next(r for u, r in results if u is unit))


def _rows(request: "Request", first: str, second: str) -> "Iterator[Flips]":
    from flows.request import make_plan
    from mase.evaluation.flips import compare_cells

    cells = {(cell.row, cell.column): cell for cell in make_plan(request).cells()}
    labels = list(dict.fromkeys(row for row, _ in cells))
    for label in (first, second):
        if label not in labels:
            raise ParamsError(f"no row {label!r} in the table; there is: {', '.join(labels)}")
    for column in dict.fromkeys(column for _, column in cells):
        yield compare_cells(cells[first, column], cells[second, column])


def _lines(found: "Flips", first: str, second: str, limit: int) -> "Iterator[str]":
    from mase.evaluation.layout import clean, interval_points, p_text, points

    gap = found.comparison
    a, b = clean(first), clean(second)
    seeds = f"{found.seeds[0]} and {found.seeds[1]} seeds"
    yield f"{found.column}: {b} minus {a}, {found.examples} examples, {seeds}"
    interval = interval_points(gap.low, gap.high)
    yield f"  {found.metric} {points(gap.difference)} points {interval} {p_text(gap.p)}"
    yield (
        f"  wrong to right {len(found.to_right)}, right to wrong {len(found.to_wrong)}, right with both "
        f"{found.both_right}, wrong with both {found.both_wrong}, seeds tied {found.undecided}"
    )
    for title, flips in (("wrong to right", found.to_right), ("right to wrong", found.to_wrong)):
        if flips[:limit]:
            yield f"\n  {title}, {len(flips[:limit])} of {len(flips)}"
            yield from (_flip(one) for one in flips[:limit])
    yield f"\n  slices ({found.score}, {b} minus {a})"
    yield from (_slice(one) for one in found.slices)


def _flip(flip: "Flip") -> str:
    from mase.evaluation.layout import clean

    label = f" [{flip.example.label}]" if flip.example.label else ""
    text = clean(" | ".join(flip.example.texts))
    return f"    {flip.first:.2f} -> {flip.second:.2f}{label}  {text}  ({flip.id})"


def _slice(one: "Slice") -> str:
    interval = "too few" if one.low is None or one.high is None else f"[{one.low:+.3f}, {one.high:+.3f}]"
    part = f"{one.by:<9} {one.name:<20} {one.examples:>6}"
    return f"    {part}  {one.first:.3f} -> {one.second:.3f}  {one.difference:+.3f} {interval}"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("compare", help=HELP)(compare)
