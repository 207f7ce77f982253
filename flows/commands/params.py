"""`mase params`: check the params files, and show what a run's params come to."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands import options

app = typer.Typer(no_args_is_help=True, help="Params files: check them, or show what they come to.")


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="Overlays of your own to check as well.")] = [],  # noqa: B006
) -> None:
    """Check every params file, in every combination that a run can ask for, and report all errors."""
    from flows.params_check import check_all

    typer.echo(f"{check_all(files)} combinations are sound")


@app.command("show")
def show(
    task: Annotated[str, typer.Argument(help="Task: params/tasks/, or a YAML file.")],
    method: options.Methods = ["mase"],  # noqa: B006
    profile: options.Profile = "demo",
    data_dir: options.DataDir = None,
    settings: options.Settings = [],  # noqa: B006
    params: options.ParamsFiles = [],  # noqa: B006
    backbone: options.Backbone = None,
    preset: options.Preset = None,
) -> None:
    """Print the params that `mase train` would use with the same options, as YAML."""
    import yaml

    from mase.params import load_params

    overrides = options.overrides(settings, params, data_dir)
    found = load_params(
        task, profile=profile, overlays=method, overrides=overrides, backbone=backbone, preset=preset
    )
    typer.echo(yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
