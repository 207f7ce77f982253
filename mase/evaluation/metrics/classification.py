"""Accuracy, F1 of the positive class (class id 1), and their mean as in GLUE's MRPC and QQP."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from sklearn.metrics import accuracy_score, f1_score

from mase.evaluation.metrics.metric import Metric, safe_ratio, weighted_sums

POSITIVE = 1


def accuracy(labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "n"]) -> float:
    """Return the share of examples whose class is predicted."""
    return float(accuracy_score(labels, predictions))


def f1(labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "n"]) -> float:
    """Return F1 of class id 1; 0 where it is neither a label nor a prediction."""
    actual, predicted = labels == POSITIVE, predictions == POSITIVE
    return float(f1_score(actual, predicted)) if (actual | predicted).any() else 0.0


def acc_and_f1(labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "n"]) -> float:
    """Return the mean of accuracy and F1."""
    return (accuracy(labels, predictions) + f1(labels, predictions)) / 2


def _correct(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return (predictions == labels).astype(np.float64)


def resampled_accuracy(
    labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    """Return the accuracy of each seed on each resample."""
    return weighted_sums(counts, _correct(labels, predictions).T) / labels.size


def resampled_f1(
    labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    """Return F1 of class id 1 of each seed on each resample: 2 TP / (predicted + labelled)."""
    actual, predicted = labels == POSITIVE, predictions == POSITIVE
    hits = weighted_sums(counts, (predicted & actual).T)
    total = weighted_sums(counts, predicted.T) + weighted_sums(counts, actual[:, None])
    return safe_ratio(2 * hits, total)


def _resampled_acc_and_f1(labels: np.ndarray, predictions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return (resampled_accuracy(labels, predictions, counts) + resampled_f1(labels, predictions, counts)) / 2


METRICS = (
    Metric("accuracy", "classification", accuracy, resampled_accuracy, _correct),
    Metric("f1", "classification", f1, resampled_f1),
    Metric("acc_and_f1", "classification", acc_and_f1, _resampled_acc_and_f1),
)
