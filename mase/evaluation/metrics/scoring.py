"""Score a task's predictions, and the constant prediction that they must beat."""

import numpy as np
from jaxtyping import Shaped

from mase.errors import ParamsError, TrainingError
from mase.evaluation.metrics import classification, regression
from mase.evaluation.metrics.metric import Metric
from mase.params import TaskParams

REGISTRY: dict[str, Metric] = {m.name: m for m in (*classification.METRICS, *regression.METRICS)}
CONSTANT = "constant_predictions"
SCORED_AS = {"multiple_choice": "classification"}  # a choice is a class of `TaskParams.labels`


def metric_named(task: TaskParams, name: str) -> Metric:
    """Return the metric `name` of a task.

    Raises:
        ParamsError: if there is no such metric, it is of another family, or it is F1 of class
            id 1 in a task with more than two classes.
    """
    metric = REGISTRY.get(name)
    if metric is None:
        raise ParamsError(f"task {task.name}: no metric {name!r}; there is: {', '.join(REGISTRY)}")
    if metric.family != SCORED_AS.get(task.family, task.family):
        raise ParamsError(f"task {task.name} is {task.family}, but metric {name!r} is for {metric.family}")
    if name in ("f1", "acc_and_f1") and len(task.labels) != 2:
        raise ParamsError(f"task {task.name} has {len(task.labels)} classes, but {name!r} is for two")
    return metric


def constant_predictions(predictions: Shaped[np.ndarray, "n"]) -> bool:
    """Tell whether every example got the same prediction, a sign of a collapsed run."""
    if predictions.size < 2:
        return False
    if np.issubdtype(predictions.dtype, np.floating):
        return regression.is_flat(predictions)
    return bool((predictions == predictions[0]).all())


def _checked(task: TaskParams, values: Shaped[np.ndarray, "n"], what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} of {task.name} must have shape (n,) with n > 0, got {array.shape}")
    if task.family == "regression":
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise TrainingError(f"{what} of {task.name} are not all finite; lower the learning rates")
        return array
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.min() < 0 or whole.max() >= len(task.labels):
        raise ValueError(f"{what} of {task.name} must be class ids 0..{len(task.labels) - 1}")
    return whole


def score(
    task: TaskParams, labels: Shaped[np.ndarray, "n"], predictions: Shaped[np.ndarray, "n"]
) -> dict[str, float]:
    """Score predictions on every metric of a task.

    Args:
        labels: class ids, or scores for regression.
        predictions: class ids (not logits), or scores for regression.

    Returns:
        Each of the task's metrics, correlations in [-1, 1] and all others in [0, 1], and
        `constant_predictions`, 1.0 if every prediction is the same.

    Raises:
        TrainingError: if a regression score is not finite.
        ParamsError: if a metric does not fit the task.
        ValueError: if the shapes differ or a class id does not exist.
    """
    labels, predictions = _checked(task, labels, "labels"), _checked(task, predictions, "predictions")
    if labels.shape != predictions.shape:
        raise ValueError(f"{task.name}: {labels.size} labels but {predictions.size} predictions")
    values = {name: metric_named(task, name).value(labels, predictions) for name in task.metrics}
    return {**values, CONSTANT: float(constant_predictions(predictions))}


def best_constant(task: TaskParams, labels: Shaped[np.ndarray, "n"]) -> np.ndarray:
    """Return the constant prediction `(n,)` with the best main metric on these labels.

    For accuracy this is the majority class. For F1 it may be the positive class although that
    is rarer. For regression it is the mean label, whose correlation counts as 0.
    """
    labels = _checked(task, labels, "labels")
    if task.family == "regression":
        return np.full(labels.shape, labels.mean())
    metric = metric_named(task, task.main_metric)
    candidates = [np.full_like(labels, class_id) for class_id in range(len(task.labels))]
    return max(candidates, key=lambda constant: metric.value(labels, constant))


def majority(task: TaskParams, labels: Shaped[np.ndarray, "n"]) -> dict[str, float]:
    """Score the best constant prediction: what a table's numbers must beat.

    It is chosen on the labels that it is scored on, so it errs on the strict side.
    """
    return score(task, labels, best_constant(task, labels))
