"""`mase proxies extract`: run a tower over texts and keep the vectors."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import options

app = typer.Typer(no_args_is_help=True, help="Proxies: vectors that frozen text towers give to texts.")


@app.callback()
def _group() -> None:
    """Keep `extract` a subcommand although it is the only one."""


@app.command("extract")
def extract(
    file: Annotated[
        Path | None, typer.Argument(help="UTF-8 file, one text per line; by default the input stream.")
    ] = None,
    tower: Annotated[
        str, typer.Option(help="Tower: params/towers/, a YAML file or a checkpoint.")
    ] = "embedded-image",
    overflow: Annotated[
        Literal["truncate", "chunk_mean"],
        typer.Option(help="What is done with a text longer than the context."),
    ] = "truncate",
    as_json: options.AsJson = False,
) -> None:
    """Extract the proxies of texts into the store; texts that it has are not encoded again."""
    from flows.progress import Progress
    from mase.artifacts import home
    from mase.errors import DataError
    from mase.proxies import extract_proxies, load_tower

    texts = options.input_lines(file)
    if not texts:
        raise DataError("no texts: give one per line")
    with Progress(1) as progress:
        progress.start(tower)
        table = extract_proxies(load_tower(tower), texts, overflow=overflow, progress=progress.stage)
        progress.finish(f"{len(set(texts))} distinct texts")
    result = {
        "tower": tower,
        "digest": table.digest,
        "width": table.width,
        "texts": len(texts),
        "folder": str(home() / "proxies" / table.digest),
    }
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo("\n".join(f"{key:>8}  {value}" for key, value in result.items()))
