"""Names of metrics and tags, defined once.

`step` of everything under `em/` is the EM iteration, 0..T; of `train/` the optimiser
step; `eval/` and `cost/` use the EM iteration they were measured at, or 0 where a run
has one number only.
"""

from typing import Literal

from mase.modalities import Modality

OBJECTIVE = "em/objective"
DELTA = "em/delta"  # L1 distance between successive allocations
SECONDS = "cost/seconds"
EXAMPLES_PER_SECOND = "cost/examples_per_second"
PEAK_BYTES = "cost/peak_bytes"

KIND = "mase.kind"  # flow, cell, seed, study, trial
REASON = "mase.reason"  # why a run ended as FAILED or KILLED
ATTEMPT = "mase.attempt"  # 1 when created, one more at each re-opening
NON_FINITE = "mase.non_finite"  # which points were NaN or infinite: "key@step=value, ..."
LONG_PARAMS = "mase.long_params"  # params whose whole text is in an artifact
MODEL_ID = "mase.model_id"  # the logged model of this run

RUN_NAME = "mlflow.runName"
PARENT = "mlflow.parentRunId"
COMMIT = "mlflow.source.git.commit"
SOURCE_NAME = "mlflow.source.name"


def weight(modality: Modality) -> str:
    """Name the allocation weight z of a modality (Eq. 11)."""
    return f"em/weight/{modality}"


def information(modality: Modality) -> str:
    """Name the estimated information I(h; y) of a modality, in nats (Eq. 10)."""
    return f"em/information/{modality}"


def information_se(modality: Modality) -> str:
    """Name the standard error of the estimated information, in nats."""
    return f"em/information_se/{modality}"


def diagnostic(name: str) -> str:
    """Name a number that is logged and never acted upon."""
    return f"em/diagnostic/{name}"


def loss(part: Literal["total", "task", "contrastive"]) -> str:
    """Name a training loss (Eqs. 7-9)."""
    return f"train/loss/{part}"


def gradient_norm(group: str) -> str:
    """Name the gradient norm of a parameter group, before clipping."""
    return f"train/grad_norm/{group}"


def evaluation(task: str, metric: str) -> str:
    """Name a score of a task, as in `eval/sst2/accuracy`."""
    return f"eval/{task}/{metric}"
