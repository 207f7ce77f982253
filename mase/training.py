"""One unit from its params to its result: the method section in order.

Prepare the rows, parse the scene graphs, extract the proxies, run Algorithm 1, evaluate,
write everything down. No step is repeated whose artifact is on disk.
"""

import platform
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
import yaml
from transformers import PreTrainedTokenizerBase

from mase import __version__
from mase.artifacts import write_atomically, write_json
from mase.data import Rows, TaskData
from mase.em.estep import Labelled
from mase.em.loop import Iteration, Trainer
from mase.evaluation.metrics import score
from mase.model.backbone import load_tokenizer
from mase.model.build import AnyModel, build_model, trainable_parameters
from mase.model.frozen import cache_frozen_states
from mase.model.inference import predict_logits
from mase.model.inputs import Inputs
from mase.model.mase import MaseModel
from mase.model.precision import autocast_dtype
from mase.model.preparation import Fitted, build_inputs, extract_all, fit, parse_all
from mase.model.pretrained import save_pretrained
from mase.model.tokens import tokenise
from mase.params import Params
from mase.tracking import Tracker, names
from mase.units import RESULT, OnIteration, Progress, Unit, task_data


@dataclass(frozen=True)
class Assembled:
    """A run ready to train: the model on its device and the inputs of its splits."""

    data: TaskData
    model: AnyModel
    fitted: Fitted
    tokenizer: PreTrainedTokenizerBase | None
    train: Labelled
    estimation: Labelled
    evaluation: Inputs


def assemble(params: Params) -> Assembled:
    """Prepare rows, graphs and proxies, and build the model."""
    data = task_data(params.task, params.data)
    splits = [data.train, data.slice, data.evaluation]
    tokenizer = load_tokenizer(params.backbone) if params.method != "mc_ptm" else None
    graphs = parse_all(params, splits, train=data.train)
    tables = extract_all(params, splits, graphs)
    tokens = tokenise(tokenizer, data.train, params.backbone.max_length) if tokenizer is not None else None
    fitted = fit(params, tables, data.train, tokens)
    inputs = [build_inputs(params, fitted, tables, rows, tokenizer) for rows in splits]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(params, fitted).to(device)
    if params.method != "mc_ptm":
        model.backbone.autocast = autocast_dtype(params.training.precision, device)  # type: ignore[union-attr]
        for split in inputs:
            cache_frozen_states(model.backbone, split, params.seed)  # type: ignore[arg-type]
    train, estimation = (
        Labelled(i, torch.from_numpy(r.labels)) for i, r in zip(inputs[:2], splits[:2], strict=True)
    )
    return Assembled(data, model, fitted, tokenizer, train, estimation, inputs[2])


def train_unit(
    unit: Unit,
    tracker: Tracker | None,
    progress: Progress,
    on_iteration: OnIteration | None,
    keep_model: bool,
) -> None:
    """Train, evaluate and write a unit's folder; see `mase.units.train`."""
    start = time.perf_counter()
    params, folder = unit.params, unit.folder
    write_atomically(folder / "params.yaml", yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False))
    progress("prepare", 0, 1)
    run = assemble(params)
    if tracker is not None:
        _describe(tracker, unit, run)

    def observe(iteration: Iteration) -> None:
        if tracker is not None:
            tracker.metrics(_metrics_of(iteration), step=iteration.t)
        if on_iteration is not None:
            numbers = {"objective": iteration.objective, "score": iteration.score}
            on_iteration(iteration.t, {k: v for k, v in numbers.items() if v is not None})

    trainer = Trainer(
        params,
        run.model,
        run.train,
        run.estimation,
        digest=unit.digest,
        state=folder / "state",
        observe=observe,
        advance=lambda step, total: progress("train", step, total),
        score=(lambda _: _evaluate(run, params)[1][params.task.main_metric])
        if params.data.evaluate_on == "tune"
        else None,
    )
    history = trainer.run()
    progress("evaluate", 0, 1)
    predictions, metrics = _evaluate(run, params)
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    allocation_frame(history[:-1]).to_csv(folder / "allocation.csv", index=False)
    if keep_model:
        save_pretrained(folder / "model", run.model, params, run.fitted, run.tokenizer)
    seconds = time.perf_counter() - start
    result = _result(unit, run, history, metrics, seconds, trainer.total_steps)
    if tracker is not None:
        _record(tracker, unit, result, history[-1])
    write_json(folder / RESULT, result)
    shutil.rmtree(folder / "state", ignore_errors=True)


def _evaluate(run: Assembled, params: Params) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return per-row predictions and the task's metrics; labels are read after predicting."""
    logits = predict_logits(run.model, run.evaluation, params.training.eval_batch_size)
    rows: Rows = run.data.evaluation
    frame = pd.DataFrame({"id": rows.ids, "label": rows.labels})
    if params.task.family == "regression":
        low, high = params.task.label_range or (-np.inf, np.inf)
        frame["prediction"] = logits.squeeze(-1).numpy().clip(low, high)
    else:
        probabilities = logits.softmax(-1).numpy()
        frame["prediction"] = probabilities.argmax(1)
        for k in range(probabilities.shape[1]):
            frame[f"probability_{k}"] = probabilities[:, k]
    return frame, score(params.task, rows.labels, frame["prediction"].to_numpy())


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


def _metrics_of(iteration: Iteration) -> dict[str, float]:
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


def _describe(tracker: Tracker, unit: Unit, run: Assembled) -> None:
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


def _record(tracker: Tracker, unit: Unit, result: dict[str, Any], closing: Iteration) -> None:
    metrics = {names.evaluation(unit.params.task.name, k): v for k, v in result["metrics"].items()}
    metrics[names.SECONDS] = result["seconds"]
    metrics[names.EXAMPLES_PER_SECOND] = result["examples_per_second"]
    metrics[names.PEAK_BYTES] = float(result["peak_bytes"])
    closing_values = {names.diagnostic(f"closing_information/{m}"): v for m, v in closing.information.items()}
    tracker.metrics({**metrics, **closing_values}, step=unit.params.allocation.iterations)
    tracker.artifact(unit.folder / "params.yaml")
    tracker.artifact(unit.folder / "allocation.csv")


def _result(
    unit: Unit,
    run: Assembled,
    history: list[Iteration],
    metrics: dict[str, float],
    seconds: float,
    steps: int,
) -> dict[str, Any]:
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
        "examples_per_second": steps * unit.params.training.batch_size / seconds,
        "peak_bytes": _peak_bytes(),
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


def _coverage(run: Assembled) -> dict[str, int]:
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
