"""Bootstrap of means and of ratios of sums, for metrics whose per-example scores are worked out once.

Text metrics (spans, answers, sentences) score every example a single time; a resample then only
weights these numbers. `counts[r, i]` says how often example i occurs in resample r.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from mase.evaluation.metrics.metric import Metric, safe_ratio, weighted_sums


def mean_metric(
    name: str, family: str, column: str, *, unavailable: Callable[[], str | None] | None = None
) -> Metric:
    """Return the metric that is the mean of a column over all examples; the rest as in `Metric`."""
    return Metric(
        name,
        family,
        lambda labels, scores: float(scores.mean()),
        lambda labels, scores, counts: resampled_mean(scores, counts),
        lambda labels, scores: scores,
        (column,),
        unavailable,
    )


def resampled_mean(
    scores: Shaped[np.ndarray, "S n"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    """Return the mean score of each seed on each resample: sum_i c_i s_i / n."""
    return weighted_sums(counts, scores.T) / scores.shape[1]


def resampled_ratio(
    numerators: Shaped[np.ndarray, "S n"],
    denominators: Shaped[np.ndarray, "n"],
    counts: UInt8[np.ndarray, "R n"],
) -> Float[np.ndarray, "R S"]:
    """Return a ratio of sums of each seed on each resample: sum_i c_i a_i / sum_i c_i b_i.

    With a 0/1 mask as denominators (and numerators that are 0 outside it) this is the mean over
    a group of examples; a resample in which the group is empty gives 0.
    """
    totals = weighted_sums(counts, denominators[:, None])
    return safe_ratio(weighted_sums(counts, numerators.T), np.broadcast_to(totals, (len(counts), 1)))
