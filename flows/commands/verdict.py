"""`mase verdict`: one word per row of a table, with what the data could have shown."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands import options, request_options

HELP = """Say of each row of a table: gain, placebo-equal, loss, no difference or underpowered.

Reads what is done and trains nothing. Rows are judged against the table's reference row; a gain that a
placebo shows too is placebo-equal. Where no difference is found, the smallest detectable one is what counts.

Example: mase verdict --table 6 --profile local --data-dir DIR --tasks mrpc,stsb --seeds 3
"""


def verdict(
    table: request_options.Table = None,
    profile: options.Profile = "demo",
    data_dir: options.DataDir = None,
    tasks: options.Tasks = None,
    seeds: request_options.Seeds = 2,
    margin: Annotated[
        float, typer.Option(min=0.0, help="Points that matter: no difference means less than this.")
    ] = 0.5,
    max_train_rows: options.MaxTrainRows = None,
    settings: options.Settings = [],  # noqa: B006 - Typer makes a new list for every call
    backbone: options.Backbone = None,
    preset: options.Preset = None,
    as_json: options.AsJson = False,
) -> None:
    """Judge the rows of a table; `HELP` is what the user reads."""
    plan = request_options.plan_of(
        table, profile, data_dir, tasks, seeds, max_train_rows, settings, backbone, preset
    )
    from flows.outputs import finished_tables
    from mase.evaluation.verdict import line, verdicts

    (found,) = finished_tables(plan)
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
