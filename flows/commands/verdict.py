"""`mase verdict`: one word per row of a table, with what the data could have shown."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, request_options

if TYPE_CHECKING:
    from flows.request import Request

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
    """Judge the rows of a table; `HELP` is what the user reads."""
    from flows.outputs import finished_tables
    from flows.request import make_plan
    from mase.evaluation.verdict import line, verdicts

    (found,) = finished_tables(make_plan(request))
    judged = verdicts(found, margin / 100)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in judged], indent=1, ensure_ascii=False))
        return
    typer.echo(f"{found.declaration.title}; reference: {found.declaration.reference}; differences in points")
    column = None
    for one in judged:
        if one.column != column:
            column = one.column
            typer.echo(f"\n{found.title(column)}")
        typer.echo(f"  {one.word:<16}  {one.row}: {line(one)}")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("verdict", help=HELP)(verdict)
