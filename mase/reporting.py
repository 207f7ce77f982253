"""What a run writes down and tells the tracking store: result.json, allocation.csv, metrics."""

import platform
import resource
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import transformers

from mase import __version__
from mase.em.loop import Iteration
from mase.methods import trainable_parameters
from mase.model.mase import MaseModel
from mase.model.precision import resolved
from mase.params.combinations import TOWERS
from mase.tracking import Tracker, names
from mase.units import Unit

if TYPE_CHECKING:
    from mase.training import Assembled


def allocation_frame(history: list[Iteration]) -> pd.DataFrame:
    """Return the trajectory of the weights, one row per iteration and modality."""
    rows = [
        {
            "iteration": i.t,
            "modality": m,
            "weight": w,
            "information": i.information.get(m),
            "information_se": i.information_se.get(m),
        }
        for i in history
        for m, w in i.weights.items()
    ]
    return pd.DataFrame(rows, columns=["iteration", "modality", "weight", "information", "information_se"])


def metrics_of(iteration: Iteration) -> dict[str, float]:
    """Name an iteration's numbers as the tracking store knows them."""
    metrics = {names.weight(m): w for m, w in iteration.weights.items()}  # type: ignore[arg-type]
    metrics |= {names.information(m): v for m, v in iteration.information.items()}  # type: ignore[arg-type]
    metrics |= {names.information_se(m): v for m, v in iteration.information_se.items()}  # type: ignore[arg-type]
    for where, values in (("pre", iteration.pre), ("post", iteration.post)):
        metrics |= {names.diagnostic(f"information_{where}/{m}"): v for m, v in values.items()}
    metrics |= {names.loss(k): v for k, v in iteration.losses.items()}  # type: ignore[arg-type]
    metrics |= {names.gradient_norm(k): v for k, v in iteration.gradient_norms.items()}
    if iteration.objective is not None:
        metrics[names.OBJECTIVE] = iteration.objective
    metrics[names.DELTA] = iteration.delta
    metrics[names.diagnostic("collapsed")] = float(iteration.collapsed)
    return metrics


def describe(tracker: Tracker, unit: Unit, run: "Assembled") -> None:
    """Tell the tracking store what is about to be trained, and on which rows."""
    tracker.params(unit.params.model_dump(mode="json"))
    tracker.tags({"mase.unit": unit.digest, "mase.label": unit.label, "mase.folder": str(unit.folder)})
    data, task = run.data, unit.params.task.name
    for context, rows in (
        ("train", data.train),
        ("information", data.slice),
        ("evaluation", data.evaluation),
    ):
        tracker.dataset(
            f"{task}/{context}", digest=rows.digest(), source=data.source, context=context, rows=len(rows)
        )


def record(tracker: Tracker, unit: Unit, result: dict[str, Any], closing: Iteration) -> None:
    """Tell the tracking store a unit's result."""
    metrics = {names.evaluation(unit.params.task.name, k): v for k, v in result["metrics"].items()}
    metrics[names.SECONDS] = result["seconds"]
    metrics[names.EXAMPLES_PER_SECOND] = result["examples_per_second"]
    metrics[names.PEAK_BYTES] = float(result["peak_bytes"])
    closing_values = {names.diagnostic(f"closing_information/{m}"): v for m, v in closing.information.items()}
    tracker.metrics({**metrics, **closing_values}, step=unit.params.allocation.iterations)
    tracker.artifact(unit.folder / "params.yaml")
    tracker.artifact(unit.folder / "allocation.csv")


def result_of(
    unit: Unit,
    run: "Assembled",
    history: list[Iteration],
    metrics: dict[str, float],
    seconds: float,
    steps: int,
    steps_here: int,
) -> dict[str, Any]:
    """Return the content of result.json.

    Args:
        history: of the whole run, the closing estimate last.
        seconds: that this attempt took.
        steps: optimiser steps of the whole run.
        steps_here: those of this attempt; fewer if it resumed.
    """
    closing = history[-1]
    parameters = trainable_parameters(run.model)
    gates = {}
    if isinstance(run.model, MaseModel):
        gates = dict(zip(run.model.modalities, run.model.sum.gates().tolist(), strict=True))
    return {
        "digest": unit.digest,
        "task": unit.params.task.name,
        "metrics": metrics,
        "allocation": closing.weights,
        "seconds": round(seconds, 3),
        "examples_per_second": steps_here * unit.params.training.batch_size / seconds,
        "peak_bytes": _peak_bytes(),
        "precision": "fp32" if unit.params.method in TOWERS else resolved(unit.params.training.precision),
        "counts": {**run.data.counts, "steps": steps, "parameters": parameters["total"], **_coverage(run)},
        "trainable_parameters": parameters,
        "data_digest": run.data.digest,
        "source": run.data.source,
        "closing": {"information": closing.information, "losses": closing.losses, "gates": gates},
        "versions": {
            "mase": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def _coverage(run: "Assembled") -> dict[str, int]:
    """Count evaluation rows that the frozen parts could not read whole."""
    counts = {}
    if run.evaluation.tokens is not None:
        counts["evaluation_truncated"] = run.evaluation.tokens.truncated
    if run.evaluation.nodes is not None:
        counts["evaluation_without_entity"] = int((np.diff(run.evaluation.nodes.pointer) == 0).sum())
    return counts


def _peak_bytes() -> int:
    """Return the peak memory of the accelerator, or of the process where there is none."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
