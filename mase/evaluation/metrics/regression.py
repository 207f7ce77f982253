"""Pearson and Spearman correlation and their mean, as in GLUE's STS-B.

A correlation with a constant is undefined; here it is 0, and `constant_predictions` flags it.
"""

import numpy as np
from jaxtyping import Float, UInt8
from scipy import stats

from mase.evaluation.metrics.metric import ROWS_PER_BLOCK, Metric, safe_ratio, weighted_sums

FLAT = 1e-6  # relative spread below which float32 scores count as one value


def is_flat(values: Float[np.ndarray, "n"]) -> bool:
    """Tell whether all values are the same up to float32 rounding."""
    return bool(np.ptp(values) <= FLAT * max(1.0, float(np.abs(values).max())))


def pearson(labels: Float[np.ndarray, "n"], predictions: Float[np.ndarray, "n"]) -> float:
    """Return Pearson's correlation; 0 if either side is constant."""
    if labels.size < 2 or is_flat(labels) or is_flat(predictions):
        return 0.0
    return float(np.asarray(stats.pearsonr(labels, predictions)[0]))


def spearman(labels: Float[np.ndarray, "n"], predictions: Float[np.ndarray, "n"]) -> float:
    """Return Spearman's rank correlation with mid-ranks for ties; 0 if either side is constant."""
    if labels.size < 2 or is_flat(labels) or is_flat(predictions):
        return 0.0
    return pearson(stats.rankdata(labels), stats.rankdata(predictions))


def pearson_spearman(labels: Float[np.ndarray, "n"], predictions: Float[np.ndarray, "n"]) -> float:
    """Return the mean of Pearson and Spearman."""
    return (pearson(labels, predictions) + spearman(labels, predictions)) / 2


def _centred(values: np.ndarray) -> np.ndarray:
    """Subtract the mean of the last axis, and make numerically constant rows exactly 0."""
    centred = values.astype(np.float64) - values.mean(axis=-1, keepdims=True)
    limit = FLAT * np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True))
    return np.where(np.ptp(values, axis=-1, keepdims=True) <= limit, 0.0, centred)


def resampled_pearson(
    labels: Float[np.ndarray, "n"], predictions: Float[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    """Return Pearson's correlation of each seed on each resample, from weighted moments."""
    size, seeds = labels.size, len(predictions)
    y, x = _centred(labels)[None, :], _centred(predictions)
    columns = np.concatenate([y, y * y, x, x * x, x * y]).T
    means = weighted_sums(counts, columns) / size
    y_mean, y_square = means[:, :1], means[:, 1:2]
    x_mean, x_square, product = np.split(means[:, 2:], [seeds, 2 * seeds], axis=1)
    spread = np.clip(y_square - y_mean**2, 0, None) * np.clip(x_square - x_mean**2, 0, None)
    # Below 1e-24 of the squared scale only rounding is left of a resample of one value.
    scale = float(np.square(y).mean()) * np.square(x).mean(axis=1)
    return safe_ratio(product - x_mean * y_mean, np.sqrt(np.where(spread > 1e-24 * scale**2, spread, 0.0)))


def _resampled_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the centred mid-rank `(R, n)` that each example has within each resample."""
    order = np.argsort(values, kind="stable")
    distinct, group = np.unique(values, return_inverse=True)
    starts = np.searchsorted(values[order], distinct)
    size = counts[:, order].astype(np.float64)
    if distinct.size < values.size:
        size = np.add.reduceat(size, starts, axis=1)  # (R, groups of ties)
    middle = np.cumsum(size, axis=1) - (size - 1) / 2
    return middle[:, group] - (values.size + 1) / 2


def resampled_spearman(
    labels: Float[np.ndarray, "n"], predictions: Float[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    """Return Spearman's correlation of each seed on each resample, ranks taken anew in each."""
    labels, predictions = _centred(labels), _centred(predictions)
    blocks = []
    for start in range(0, len(counts), ROWS_PER_BLOCK):
        block = counts[start : start + ROWS_PER_BLOCK]
        y = _resampled_ranks(labels, block)
        y_square = (block * y * y).sum(axis=1)
        columns = []
        for scores in predictions:
            if not scores.any():  # constant
                columns.append(np.zeros(len(block)))
                continue
            x = _resampled_ranks(scores, block)
            weighted = block * x
            spread = np.sqrt((weighted * x).sum(axis=1) * y_square)
            columns.append(safe_ratio((weighted * y).sum(axis=1), spread))
        blocks.append(np.stack(columns, axis=1))
    return np.concatenate(blocks)


def _resampled_mean(labels: np.ndarray, predictions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    linear = resampled_pearson(labels, predictions, counts)
    return (linear + resampled_spearman(labels, predictions, counts)) / 2


METRICS = (
    Metric("pearson", "regression", pearson, resampled_pearson),
    Metric("spearman", "regression", spearman, resampled_spearman),
    Metric("pearson_spearman", "regression", pearson_spearman, _resampled_mean),
)
