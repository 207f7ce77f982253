"""`mase towers`: train the small text towers, and check any tower."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import options

app = typer.Typer(no_args_is_help=True, help="Text towers: train the small ones, or check any.")

TOWERS = ("image", "audio", "video")
EMBEDDED = tuple(f"embedded-{tower}" for tower in TOWERS)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Tower: params/towers/, a YAML file or a checkpoint.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the data sets; without it only neighbours and CKA.")
    ] = None,
    against: Annotated[
        list[str],
        typer.Option(help="Tower to compare spaces with; repeatable. By default the embedded ones."),
    ] = [],  # noqa: B006
    as_json: options.AsJson = False,
) -> None:
    """Measure what a tower's vectors know, on texts that no tower here was trained on."""
    from mase.proxies import load_tower
    from mase.proxies.checking.rendering import render
    from mase.proxies.checking.report import check_tower

    others = {other: load_tower(other) for other in against or EMBEDDED if other != name}
    report = check_tower(load_tower(name), data_dir, others)
    typer.echo(json.dumps(report.to_json()) if as_json else render(report))


@app.command("train")
def train(
    data_dir: Annotated[Path, typer.Option(help="Folder of the data sets.")],
    out: Annotated[Path, typer.Option(help="Folder of the weights, their params and manifests.")],
    tower: Annotated[Literal["image", "audio", "video", "all"], typer.Argument(help="Which tower.")] = "all",
    seed: Annotated[int, typer.Option(help="Of the initial weights and all draws.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's number.")] = None,
    distil_probe_names: Annotated[
        bool, typer.Option(help="Image: distil also the objects of the colour, shape and material probes.")
    ] = False,
) -> None:
    """Train the small towers on captions: minutes on one core, and the same weights every time."""
    from flows.progress import Progress
    from mase.proxies.training.run import train_and_save

    modalities = TOWERS if tower == "all" else (tower,)
    with Progress(len(modalities)) as progress:
        for modality in modalities:
            progress.start(modality)
            path = train_and_save(
                modality,
                data_dir,
                out,
                seed=seed,
                steps=steps,
                distil_probes=distil_probe_names,
                progress=lambda done, total, _: progress.stage("step", done, total),
            )
            progress.finish(str(path))
