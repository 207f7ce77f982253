"""The flow `mase-train`: one unit, resumable."""

from typing import Any

from prefect import flow

from flows.overrides import data_overrides
from flows.progress import Progress
from flows.single import train_one
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
        task: a name under `params/tasks/`.
        method: a method, ablation or control.
        profile, seed, data_dir, overrides, backbone, preset: as for `mase_paper`.
    """
    every = [*data_overrides(data_dir), *(overrides or [])]
    with Progress(1):
        return train_one(
            task,
            profile=profile,
            methods=[method],
            seed=seed,
            overrides=every,
            backbone=backbone,
            preset=preset,
            steps=TASKS,
        )
