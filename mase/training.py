"""One unit from its params to its result: the method section in order.

Prepare the rows, parse the scene graphs, extract the proxies, run Algorithm 1, evaluate,
write everything down. No step is repeated whose artifact is on disk.
"""

import shutil
import time
from dataclasses import dataclass

import pandas as pd
import yaml
from transformers import PreTrainedTokenizerBase

from mase import ranks
from mase.artifacts import write_atomically, write_json
from mase.data import Rows, TaskData
from mase.em.estep import Labelled
from mase.em.loop import Iteration, Trainer
from mase.evaluation.metrics import score
from mase.families import Answered, family_of
from mase.identity import task_data
from mase.methods import build_model, model_class
from mase.model.backbone import load_tokenizer
from mase.model.blanks import FillsBlanks
from mase.model.frozen import cache_frozen_states
from mase.model.inference import predict
from mase.model.inputs import Inputs
from mase.model.precision import autocast_dtype, training_device
from mase.model.preparation import Fitted, Tables, align, build_inputs, extract_all, fit, parse_all
from mase.model.task_model import Split, TaskModel
from mase.params import Params
from mase.pretrained import save_pretrained
from mase.reporting import allocation_frame, describe, metrics_of, record, result_of
from mase.shared_training import trained
from mase.tracking import Tracker
from mase.units import RESULT, OnIteration, Progress, Unit


@dataclass(frozen=True)
class Assembled:
    """A run ready to train: the model on its device and the inputs of its splits.

    `seen` holds the evaluation rows as the model sees them.
    """

    data: TaskData
    model: TaskModel
    fitted: Fitted
    tokenizer: PreTrainedTokenizerBase | None
    train: Labelled
    estimation: Labelled
    evaluation: Inputs
    seen: Rows


@dataclass(frozen=True)
class Given:
    """What a run reads beside its language model: its rows, and what the frozen parts say of their texts."""

    data: TaskData
    tables: Tables


def prepared(params: Params) -> Given:
    """Return what a run reads beside its language model, made unless it is on the disk."""
    data, kind = task_data(params.task, params.data), model_class(params)
    splits = _seen(params, data, _tokenizer(params))
    graphs = parse_all(params, splits, train=splits[0], model=kind)
    # What is learned must not depend, be it by rounding, on what is asked: `mase.shared_training`.
    apart = splits[2:] if issubclass(kind, FillsBlanks) else []
    learned = splits[: len(splits) - len(apart)]
    return Given(data, extract_all(params, learned, graphs, model=kind, apart=apart))


def _tokenizer(params: Params) -> PreTrainedTokenizerBase | None:
    return load_tokenizer(params.backbone) if model_class(params).has_backbone else None


def _seen(params: Params, data: TaskData, tokenizer: PreTrainedTokenizerBase | None) -> list[Rows]:
    """Return the training, slice and evaluation rows as the model sees them."""
    kind = model_class(params)
    return [kind.rows(params, rows, tokenizer) for rows in (data.train, data.slice, data.evaluation)]


def assemble(params: Params, given: Given | None = None) -> Assembled:
    """Prepare rows, graphs and proxies unless they are `given`, and build the model."""
    given = prepared(params) if given is None else given
    data, tables, kind = given.data, given.tables, model_class(params)
    tokenizer = _tokenizer(params)
    splits = _seen(params, data, tokenizer)
    aligned = [align(params, tables, rows, tokenizer, kind) for rows in splits]
    fitted = fit(params, tables, splits[0], aligned[0], kind)
    inputs = [
        build_inputs(params, fitted, tables, rows, tokenizer, found, kind)
        for rows, found in zip(splits, aligned, strict=True)
    ]
    device = training_device()
    model = build_model(params, fitted).to(device)
    if kind.has_backbone:
        model.backbone.autocast = autocast_dtype(params.training.precision, device)  # type: ignore[union-attr]
        for split in inputs:
            cache_frozen_states(model.backbone, split, params.seed)  # type: ignore[arg-type]
    train, estimation = (
        Labelled(i, kind.targets(params, Split(r, i, fitted, tokenizer)))
        for i, r in zip(inputs[:2], splits[:2], strict=True)
    )
    return Assembled(data, model, fitted, tokenizer, train, estimation, inputs[2], splits[2])


def train_unit(
    unit: Unit,
    tracker: Tracker | None,
    progress: Progress,
    on_iteration: OnIteration | None,
    keep_model: bool,
    given: Given | None = None,
) -> None:
    """Train, evaluate and write a unit's folder; see `mase.units.train`. `given` spares the preparation."""
    start = time.perf_counter()
    params, folder = unit.params, unit.folder
    progress("prepare", 0, 1)
    run = assemble(params, given)
    if ranks.is_main():
        content = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False)
        write_atomically(folder / "params.yaml", content)
    if tracker is not None:
        describe(tracker, unit, run)

    def observe(iteration: Iteration) -> None:
        if tracker is not None:
            tracker.metrics(metrics_of(iteration), step=iteration.t)
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
    # Where inputs are given, the data and models that would name a shared training are not there.
    history, trained_by = trained(unit, trainer) if given is None else (trainer.run(), None)
    progress("evaluate", 0, 1)
    predictions, metrics = _evaluate(run, params)
    if not ranks.is_main():
        return
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    for name, text in family_of(params.task).files(params.task, predictions).items():
        write_atomically(folder / name, text)
    allocation_frame(history[:-1]).to_csv(folder / "allocation.csv", index=False)
    if keep_model:
        save_pretrained(folder / "model", run.model, params, run.fitted, run.tokenizer)
    seconds = time.perf_counter() - start
    steps = trainer.total_steps
    here = 0 if trained_by else steps - trainer.first_step
    result = result_of(unit, run, history, metrics, seconds, steps, here)
    if trained_by:
        result["trained_by"] = trained_by
    if tracker is not None:
        record(tracker, unit, result, history[-1])
    write_json(folder / RESULT, result)
    shutil.rmtree(folder / "state", ignore_errors=True)


def _evaluate(run: Assembled, params: Params) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return per-row predictions and the task's metrics; labels are read after predicting."""
    predicted = predict(run.model, run.evaluation, params.training.eval_batch_size)
    answered = Answered(run.data.evaluation, run.seen, predicted, run.tokenizer, run.fitted.labels)
    frame = family_of(params.task).frame(params.task, answered)
    return frame, score(params.task, frame)
