"""`mase voken pretrain`: teach a backbone to name an image for each token, and a control without."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import options

app = typer.Typer(no_args_is_help=True, help="VOKEN: pre-train a backbone on captions, for the baseline.")


@app.callback()
def _group() -> None:
    """Keep `pretrain` a subcommand although it is the only one."""


@app.command("pretrain")
def pretrain(
    captions: Annotated[Path, typer.Option(help="A captions file of COCO (captions_*.json).")],
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Folder with vectors.npy, image vectors in the tower's space; else captions stand in."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the two backbones.", show_default="$MASE_HOME/checkpoints/voken"),
    ] = None,
    backbone: Annotated[str, typer.Option(help="What to go on from: params/backbones/.")] = "minilm",
    tower: Annotated[str, typer.Option(help="Image tower: params/towers/, a YAML file or a checkpoint.")] = (
        "embedded-image"
    ),
    rows: Annotated[int, typer.Option("--captions-used", min=2, help="Captions to learn from.")] = 2000,
    vokens: Annotated[
        int, typer.Option(min=2, help="Pictures of the table, where captions stand in.")
    ] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help="Over the captions.")] = 1,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Pre-train with vokens, and without on the same batches; --backbone takes each one's backbone.yaml."""
    from flows.progress import Progress
    from mase.artifacts import home
    from mase.baselines.voken.pretraining import Recipe, pretrain_and_save
    from mase.baselines.voken.vokens import read_captions, voken_table
    from mase.params import BackboneParams, read_named, validate
    from mase.proxies import load_tower

    params = validate(BackboneParams, read_named("backbones", backbone), backbone)
    encoder = load_tower(tower)
    found = read_captions(captions, captions=rows, pictures=vokens, seed=seed)
    table = voken_table(encoder, found, vectors)
    with Progress(1) as progress:
        progress.start("voken")
        folders = pretrain_and_save(
            params,
            found,
            encoder,
            table,
            out or home() / "checkpoints" / "voken",
            recipe=Recipe(epochs=epochs),
            seed=seed,
            progress=progress.stage,
        )
        progress.finish("stand-in captions" if table.stand_in else "image vectors")
    result = {name: str(folder / "backbone.yaml") for name, folder in folders.items()}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{k:>8}  {v}" for k, v in result.items()))
