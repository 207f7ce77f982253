"""Span: the official numbers of SQuAD v2.0 as means and thresholds over columns of the predictions.

The label says whether the data set gives an answer. Of every question, `mase.families.span` writes how
good its answer is (`exact`, `f1`, "no answer" where that scored higher), the same of its best span whether
it was given or not (`raw_exact`, `raw_f1`, and `answered` where that is any text), and `no_answer_score`,
above 0 where no answer scored higher. `mase.evaluation.metrics.squad` has the script's own arithmetic, and
the numbers here equal it: with the threshold 0, and searched for the best one.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, UInt8

from mase.evaluation.metrics.means import mean_metric, resampled_ratio
from mase.evaluation.metrics.metric import ROWS_PER_BLOCK, Metric
from mase.evaluation.metrics.squad import gains

Members = Callable[[np.ndarray], Bool[np.ndarray, "n"]]


def _answerable(labels: np.ndarray) -> Bool[np.ndarray, "n"]:
    return labels > 0


def _unanswerable(labels: np.ndarray) -> Bool[np.ndarray, "n"]:
    return labels == 0


def _mean_of(name: str, column: str, members: Members, *, has_constant: bool = True) -> Metric:
    """Return the mean of a column over some questions; 0 where there are none."""

    def value(labels: np.ndarray, scores: Float[np.ndarray, "n"]) -> float:
        return float(scores[members(labels)].mean()) if members(labels).any() else 0.0

    def resampled(
        labels: np.ndarray, scores: Float[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
    ) -> Float[np.ndarray, "R S"]:
        return resampled_ratio(scores * members(labels), members(labels), counts)

    return Metric(name, "span", value, resampled, columns=(column,), has_constant=has_constant)


def _best(name: str, column: str) -> Metric:
    """Return the best mean over thresholds on `no_answer_score`, searched anew in every resample."""

    def value(labels: np.ndarray, columns: Float[np.ndarray, "n 3"]) -> float:
        return float(_best_means(labels, columns, np.ones((1, len(labels))))[0])

    def resampled(
        labels: np.ndarray, columns: Float[np.ndarray, "S n 3"], counts: UInt8[np.ndarray, "R n"]
    ) -> Float[np.ndarray, "R S"]:
        return np.stack([_best_means(labels, seed, counts) for seed in columns], axis=1)

    return Metric(name, "span", value, resampled, columns=(column, "answered", "no_answer_score"))


def _best_means(
    labels: np.ndarray, columns: Float[np.ndarray, "n 3"], counts: Float[np.ndarray, "R n"]
) -> Float[np.ndarray, "R"]:
    """Return the best mean of each resample; questions of one score are taken in their order, as they are."""
    raw, answered, score = columns.T
    order = np.argsort(score, kind="stable")
    gained = gains(raw, _answerable(labels), answered > 0)[order]
    nothing = _unanswerable(labels).astype(np.float64)
    blocks = []
    for at in range(0, len(counts), ROWS_PER_BLOCK):
        block = counts[at : at + ROWS_PER_BLOCK].astype(np.float64)
        highest = (block[:, order] * gained).cumsum(axis=1).max(axis=1)
        blocks.append(block @ nothing + np.maximum(highest, 0.0))
    return np.concatenate(blocks) / len(labels)


METRICS = (
    mean_metric("exact", "span", "exact"),
    mean_metric("f1", "span", "f1"),
    _mean_of("has_answer_exact", "exact", _answerable),
    _mean_of("has_answer_f1", "f1", _answerable),
    _mean_of("no_answer_accuracy", "exact", _unanswerable, has_constant=False),
    _best("best_exact", "raw_exact"),
    _best("best_f1", "raw_f1"),
)
