"""`mase train`: one unit, resumable."""

import json
import subprocess
import sys
from typing import Annotated

import typer

from flows.commands import options


def train(
    task: Annotated[str, typer.Argument(help="Task: params/tasks/, or a YAML file.")],
    method: options.Methods = ["mase"],  # noqa: B006 - Typer makes a new list for every call
    profile: options.TaskProfile = None,
    data_dir: options.DataDir = None,
    max_train_rows: options.MaxTrainRows = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    settings: options.Settings = [],  # noqa: B006
    params: options.ParamsFiles = [],  # noqa: B006
    backbone: options.Backbone = None,
    preset: options.Preset = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that share this one unit, a GPU each where there are any.")
    ] = 1,
    as_json: options.AsJson = False,
) -> None:
    """Train one unit, or go on with it; a finished one is only shown."""
    from flows.progress import Progress
    from flows.single import train_one
    from mase import ranks

    if processes > 1 and not ranks.launched():
        raise typer.Exit(_launch(processes))
    overrides = options.overrides(settings, params, data_dir, max_train_rows)
    options.resumes_with_same_command()
    with Progress(1):
        result = train_one(
            task,
            profile=options.profile_of(task, profile),
            methods=method,
            seed=seed,
            overrides=overrides,
            backbone=backbone,
            preset=preset,
        )
    if not ranks.is_main():
        return
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    for name, value in result["metrics"].items():
        typer.echo(f"{name:>24}  {value:.4f}")
    typer.echo(f"{'seconds':>24}  {result['seconds']:.1f}{'' if result['trained'] else '  (done before)'}")
    typer.echo(f"{'unit':>24}  {result['folder']}")


def _launch(processes: int) -> int:
    """Run this command once per process, by `torchrun`; return the exit code."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run([*launch, "--module", "flows.cli", *sys.argv[1:]], check=False).returncode


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("train")(train)
