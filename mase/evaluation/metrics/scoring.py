"""Score a task's predictions, and the constant prediction that they must beat."""

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from mase.errors import ArtifactError, ParamsError, TrainingError
from mase.evaluation.metrics import classification, cloze, generation, regression, span, vqa
from mase.evaluation.metrics.metric import Metric
from mase.params import TaskParams

FAMILIES: tuple[tuple[Metric, ...], ...] = (
    classification.METRICS,
    regression.METRICS,
    cloze.METRICS,
    generation.METRICS,
    span.METRICS,
    vqa.METRICS,
)
REGISTRY: dict[tuple[str, str], Metric] = {(m.family, m.name): m for metrics in FAMILIES for m in metrics}
"""(family, name) -> metric."""
CONSTANT = "constant_predictions"
SCORED_AS = {"multiple_choice": "classification"}  # a choice is a class of `TaskParams.labels`


def _family(task: TaskParams) -> str:
    return SCORED_AS.get(task.family, task.family)


def metric_named(task: TaskParams, name: str) -> Metric:
    """Return the metric `name` of a task.

    Raises:
        ParamsError: if there is no such metric, it is of another family, or it is F1 of class
            id 1 in a task with more than two classes.
    """
    metric = REGISTRY.get((_family(task), name))
    if metric is None:
        others = [family for family, other in REGISTRY if other == name]
        if others:
            raise ParamsError(f"task {task.name} is {task.family}, but metric {name!r} is for {others[0]}")
        known = ", ".join(other for family, other in REGISTRY if family == _family(task))
        raise ParamsError(f"task {task.name}: no metric {name!r}; there is: {known}")
    if metric.family == "classification" and name in ("f1", "acc_and_f1") and len(task.labels) != 2:
        raise ParamsError(f"task {task.name} has {len(task.labels)} classes, but {name!r} is for two")
    return metric


def constant_predictions(predictions: Shaped[np.ndarray, "n"]) -> bool:
    """Tell whether every example got the same prediction (number or text), a sign of a collapsed run."""
    if predictions.size < 2:
        return False
    if np.issubdtype(predictions.dtype, np.floating):
        return regression.is_flat(predictions.astype(np.float64))
    return bool((predictions == predictions[0]).all())


def labels_of(task: TaskParams, frame: pd.DataFrame) -> Shaped[np.ndarray, "n"]:
    """Return the labels of a predictions frame.

    Raises:
        ValueError: if there is no row, or a class id does not exist.
    """
    return _checked(task, frame["label"].to_numpy(), "labels")


def columns_of(task: TaskParams, frame: pd.DataFrame, metric: Metric) -> Shaped[np.ndarray, "n ..."]:
    """Return what a metric reads of a predictions frame: `(n,)`, or `(n, k)` of k > 1 columns.

    Raises:
        ArtifactError: if the frame lacks a column.
        TrainingError: if a number is not finite.
        ValueError: if a class id does not exist.
    """
    return _stacked(task, frame, metric, metric.columns)


def is_computed(frame: pd.DataFrame, metric: Metric) -> bool:
    """Tell whether a predictions frame has the columns of a metric that may be unavailable."""
    return metric.unavailable is None or set(metric.columns) <= set(frame.columns)


def _stacked(task: TaskParams, frame: pd.DataFrame, metric: Metric, names: tuple[str, ...]) -> np.ndarray:
    for name in names:
        if name not in frame:
            raise ArtifactError(
                f"predictions of {task.name} have no column {name!r}, which metric {metric.name!r} reads; "
                "delete the unit to train it again"
            )
    columns = [_checked(task, frame[name].to_numpy(), "predictions") for name in names]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _checked(task: TaskParams, values: Shaped[np.ndarray, "n"], what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} of {task.name} must have shape (n,) with n > 0, got {array.shape}")
    if _family(task) == "classification":
        whole = array.astype(np.int64)
        if (whole != array).any() or whole.min() < 0 or whole.max() >= len(task.labels):
            raise ValueError(f"{what} of {task.name} must be class ids 0..{len(task.labels) - 1}")
        return whole
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise TrainingError(f"{what} of {task.name} are not all finite; lower the learning rates")
    return array


def score(task: TaskParams, frame: pd.DataFrame) -> dict[str, float]:
    """Score predictions on every metric of a task.

    Args:
        frame: one row per example: `label`, `prediction`, and the columns that the metrics read.
            Of classification both are class ids (not logits), of regression both are scores.

    Returns:
        Each of the task's metrics (but for one whose columns an absent program would have made), and
        `constant_predictions`, 1.0 if every prediction is the same. Correlations are in [-1, 1], CIDEr
        is in [0, 10], and all others are in [0, 1].

    Raises:
        TrainingError: if a number is not finite.
        ParamsError: if a metric does not fit the task.
        ArtifactError: if the frame lacks a column.
        ValueError: if the frame is empty or a class id does not exist.
    """
    labels, metrics = labels_of(task, frame), [metric_named(task, name) for name in task.metrics]
    values = {
        metric.name: float(metric.value(labels, columns_of(task, frame, metric)))
        for metric in metrics
        if is_computed(frame, metric)
    }
    return {**values, CONSTANT: float(constant_predictions(frame["prediction"].to_numpy()))}


def best_constant(task: TaskParams, frame: pd.DataFrame, metric: Metric) -> np.ndarray | None:
    """Return what the best constant prediction has in a metric's columns, or None if nobody knows.

    None as well where a constant says nothing about chance (`Metric.has_constant`).

    Of classification it is the class with the best metric on these labels: for accuracy the majority
    class; for F1 it may be the positive class although that is rarer. Of regression it is the mean
    label, whose correlation counts as 0. Both are chosen on the labels that they are scored on, so
    they err on the strict side. Other families write `constant_<column>` columns: a constant that the
    training rows suggest ("no answer", the most frequent answer or label), or `constant_<metric>_<column>`
    where a metric has a constant of its own; a column that does not depend on the prediction has none
    and is taken as it is.
    """
    if not metric.has_constant:
        return None
    labels = labels_of(task, frame)
    if _family(task) == "regression":
        return np.full(labels.shape, labels.mean())
    if _family(task) == "classification":
        candidates = [np.full_like(labels, class_id) for class_id in range(len(task.labels))]
        return max(candidates, key=lambda constant: metric.value(labels, constant))
    names = tuple(
        next((n for n in (f"constant_{metric.name}_{c}", f"constant_{c}") if n in frame), c)
        for c in metric.columns
    )
    return None if names == metric.columns else _stacked(task, frame, metric, names)
