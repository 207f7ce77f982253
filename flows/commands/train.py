"""`mase train`: one unit, resumable."""

import json
import signal
import subprocess
import sys
from typing import Annotated

import typer

from flows.commands import options
from flows.interruption import end_tree, exit_code, termination_as_exception

STOP_SECONDS = 45.0  # torchrun itself kills its ranks 30 s after it asked them to end


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
    from flows.single import finished, one_unit, train_one
    from mase import ranks
    from mase.units import check_free

    unit = one_unit(
        task,
        profile=options.profile_of(task, profile),
        methods=method,
        seed=seed,
        overrides=options.overrides(settings, params, data_dir, max_train_rows),
        backbone=backbone,
        preset=preset,
    )
    options.resumes_with_same_command()
    if processes > 1 and not ranks.launched():
        ranks.check_family(unit.params.task.family)
        if finished(unit) is None:
            check_free(unit)
            raise typer.Exit(_launch(processes))
    try:
        with Progress(1):
            result = train_one(unit)
    except KeyboardInterrupt as cause:
        if ranks.launched():  # the process that started this one says how to go on
            raise typer.Exit(exit_code(cause)) from cause
        raise
    ranks.leave()
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
    """Run this command once per process; return the exit code. No rank outlives a stop of this process."""
    command = [sys.executable, "-m", "mase.launch", str(processes), "flows.cli", *sys.argv[1:]]
    with termination_as_exception(signal.SIGHUP):  # a session of its own hears nothing of a closed terminal
        process = subprocess.Popen(command, start_new_session=True)
        try:
            return process.wait()
        finally:
            end_tree(process, STOP_SECONDS)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("train")(train)
