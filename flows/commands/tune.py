"""`mase tune`: an Optuna study."""

import json
from typing import Annotated

import typer

from flows.commands import options


def tune(
    task: Annotated[str, typer.Argument(help="Task: params/tasks/, or a YAML file.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials that the study has in the end.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the study.")] = 1,
    method: options.Method = "mase",
    search: Annotated[
        str, typer.Option(help="What is searched: params/search/, or a YAML file.")
    ] = "alpha_tau",
    profile: options.TaskProfile = None,
    data_dir: options.DataDir = None,
    max_train_rows: options.MaxTrainRows = None,
    seed: Annotated[int, typer.Option(help="Seed of every trial's unit.")] = 0,
    settings: options.Settings = [],  # noqa: B006 - Typer makes a new list for every call
    params: options.ParamsFiles = [],  # noqa: B006
    backbone: options.Backbone = None,
    preset: options.Preset = None,
    as_json: options.AsJson = False,
) -> None:
    """Tune alpha and tau, or other params, on a slice of the training set; never on dev.

    The same command goes on where it was stopped, up to the number of trials.
    """
    from flows.study_request import StudyRequest
    from flows.study_run import run_study

    request = StudyRequest(
        task=task,
        profile=options.profile_of(task, profile),
        method=method,
        backbone=backbone,
        preset=preset,
        overrides=tuple(options.overrides(settings, params, data_dir, max_train_rows)),
        search=search,
        seed=seed,
    )
    options.resumes_with_same_command()
    result = run_study(request, trials, workers)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    typer.echo(f"{result['trials']} trials, {result['pruned']} pruned, {result['failed']} failed")
    if result["best_value"] is None:
        typer.echo("no trial was completed")
        return
    typer.echo(f"best score {result['best_value']:.4f} on the tune slice")
    typer.echo(
        "use it with:  " + " ".join(f"--set {key}={value!r}" for key, value in result["best_values"].items())
    )
    typer.echo("\n".join(f"  {path}" for path in result["files"]))


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("tune")(tune)
