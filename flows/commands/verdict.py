"""`mase verdict`: one word per row of a table, with what the data could have shown."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, request_options

if TYPE_CHECKING:
    from flows.request import Request
    from mase.evaluation.tables import Table
    from mase.evaluation.verdict import Verdict

HELP = """Say of each row of a table: gain, placebo-equal, loss, no difference or underpowered.

Reads what is done and trains nothing. Rows are judged against the table's reference row; a gain that a
placebo shows too is placebo-equal. Where no difference is found, the smallest detectable one is what counts.

Example: mase verdict --table 6 --profile local --data-dir DIR --tasks mrpc,stsb --seeds 3
"""


@request_options.takes_request
def verdict(
    request: "Request",
    margin: Annotated[
        float, typer.Option(min=0.0, help="Points that matter: no difference means less than this.")
    ] = 0.5,
    as_json: options.AsJson = False,
) -> None:
    """Judge the rows of tables; `HELP` is what the user reads."""
    from flows.outputs import finished_tables
    from flows.request import make_plan
    from mase.evaluation.verdict import verdicts

    judged = [(table, verdicts(table, margin / 100)) for table in finished_tables(make_plan(request))]
    if as_json:
        entries = [
            {"table": table.declaration.name} | asdict(one) for table, found in judged for one in found
        ]
        typer.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    for table, found in judged:
        typer.echo("\n".join(_lines(table, found)))


def _lines(table: "Table", found: "list[Verdict]") -> "Iterator[str]":
    from mase.evaluation.verdict import line

    yield f"{table.declaration.title}; reference: {table.declaration.reference}; differences in points"
    column = None
    for one in found:
        if one.column != column:
            column = one.column
            yield f"\n{table.title(column)}"
        yield f"  {one.word:<16}  {one.row}: {line(one)}"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("verdict", help=HELP)(verdict)
