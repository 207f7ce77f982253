"""The flow `mase-tune`: one Optuna study, inside one task."""

from dataclasses import asdict
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import book
from flows.gpu import gpu_slot
from flows.overrides import data_overrides
from flows.publish import publish_run
from flows.study_request import StudyRequest
from flows.study_run import run_study


@task(name="tune", cache_policy=NO_CACHE, persist_result=False)
def tune_task(request: dict[str, Any], trials: int, workers: int) -> dict[str, Any]:
    """Bring a study to its number of trials; it holds one GPU slot, however many workers it has."""
    with gpu_slot():
        return run_study(StudyRequest.from_json(request), trials, workers)


@flow(name="mase-tune", flow_run_name="mase-tune-{task}", validate_parameters=True)
def mase_tune(
    task: str,
    trials: int = 20,
    workers: int = 1,
    profile: str = "demo",
    method: str = "mase",
    search: str = "alpha_tau",
    seed: int = 0,
    data_dir: str | None = None,
    overrides: list[str] | None = None,
    backbone: str | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """Tune params on a slice of the training set; return the best values and the study's folder.

    Args:
        task: a name under `params/tasks/`, or the path of a task's file.
        trials: how many the study has in the end; finished ones are kept.
        workers: processes that share the study.
        profile: sizes, backbone, towers and data source: a name under `params/profiles/`, or a path.
        method: a method, an ablation or a control of `params/`.
        search: what is searched: a name under `params/search/`.
        seed: what everything random in the trials is drawn from.
        data_dir: folder of the official data files, on the worker; sets `data.source=files`.
        overrides: settings of `params/` to replace, each `a.b=c`.
        backbone: a name under `params/backbones/`; by default the profile's.
        preset: paper, sound or em; by default the profile's.
    """
    request = StudyRequest(
        task=task,
        profile=profile,
        method=method,
        backbone=backbone,
        preset=preset,
        overrides=(*data_overrides(data_dir), *(overrides or [])),
        search=search,
        seed=seed,
    )
    made = tune_task(asdict(request), trials, workers)
    publish_run(book.noted_run(f"study-{request.name()}"))
    return made
