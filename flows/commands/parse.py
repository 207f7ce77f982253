"""`mase parse`: scene graphs of texts."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import options


def parse(
    file: Annotated[
        Path | None, typer.Argument(help="UTF-8 file, one text per line; by default the input stream.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Parse texts, one per line, into scene graphs."""
    from mase.scenegraph import parse as parse_texts

    for graph in parse_texts(options.input_lines(file)):
        if as_json:
            typer.echo(json.dumps(graph.to_json()))
        else:
            typer.echo(graph.text)
            typer.echo(
                "".join(f"  ({', '.join(fact)})\n" for fact in graph.facts) or "  (nothing found)\n", nl=False
            )


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("parse")(parse)
