"""`mase runs`: what the tracking store knows."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.commands import options

INDENT = {"cell": "  ", "trial": "  ", "seed": "    "}


def runs(
    kind: Annotated[
        str | None, typer.Option(help="Only runs of this kind: flow, cell, seed, study, trial.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 30,
    as_json: options.AsJson = False,
) -> None:
    """List the tracked runs, the latest last."""
    from mase.tracking import runs as read_runs

    frame = read_runs()
    if kind is not None:
        frame = frame[frame["kind"] == kind]
    frame = frame.tail(limit)
    records = json.loads(frame.to_json(orient="records", date_format="iso"))
    if as_json:
        typer.echo(
            json.dumps([{k: v for k, v in record.items() if v is not None} for record in records], indent=1)
        )
        return
    if not records:
        typer.echo("no runs")
        return
    for record in records:
        typer.echo(_line(record))


def _line(record: Mapping[str, Any]) -> str:
    """Return a run on one line, its name indented by its place in the tree."""
    started = (record["start"] or "")[:16].replace("T", " ")
    name = INDENT.get(record["kind"], "") + record["name"]
    scores = [
        f"{key.rpartition('/')[2]} {value:.4f}" for key, value in record.items() if _is_score(key, value)
    ]
    return f"{record['run_id'][:8]}  {started}  {record['status']:<8}  {name}  {', '.join(scores)}".rstrip()


def _is_score(key: str, value: object) -> bool:
    return key.startswith("eval/") and value is not None


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("runs")(runs)
