"""The flow `mase-train`: one unit, resumable."""

from typing import Any

from prefect import flow

from flows import book
from flows.gpu import own_gpu
from flows.overrides import data_overrides
from flows.progress import Progress
from flows.publish import publish_run
from flows.single import one_unit, train_one
from flows.tasks import TASKS


@flow(name="mase-train", flow_run_name="mase-train-{task}", validate_parameters=True)
def mase_train(
    task: str,
    profile: str = "demo",
    method: str = "mase",
    seed: int = 0,
    data_dir: str | None = None,
    overrides: list[str] | None = None,
    backbone: str | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """Train one unit, or find it done; return its folder and scores.

    Args:
        task: a name under `params/tasks/`, or the path of a task's file.
        profile: sizes, backbone, towers and data source: a name under `params/profiles/`, or a path.
        method: a method, an ablation or a control of `params/`.
        seed: what everything random in the run is drawn from.
        data_dir: folder of the official data files, on the worker; sets `data.source=files`.
        overrides: settings of `params/` to replace, each `a.b=c`.
        backbone: a name under `params/backbones/`; by default the profile's.
        preset: paper, sound or em; by default the profile's.
    """
    every = [*data_overrides(data_dir), *(overrides or [])]
    unit = one_unit(
        task,
        profile=profile,
        methods=[method],
        seed=seed,
        overrides=every,
        backbone=backbone,
        preset=preset,
    )
    with own_gpu(), Progress(1):
        made = train_one(unit, TASKS)
    publish_run(book.noted_run(f"unit-{made['digest']}"))
    return made
