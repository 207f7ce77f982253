"""What a metric is: a value, and the same value on many resamples at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8

ROWS_PER_BLOCK = 512  # resamples converted to float64 at a time; bounds the memory


@dataclass(frozen=True)
class Metric:
    """One metric of labels `(n,)` and predictions.

    Attributes:
        name: as written in a task's `metrics`.
        family: "classification" (class ids) or "regression" (scores).
        value: labels `(n,)`, predictions `(n,)` -> a number, higher is better.
        resampled: labels `(n,)`, predictions `(S, n)`, counts `(R, n)` -> `(R, S)`, where
            `counts[r, i]` says how often example i occurs in resample r.
        per_example: labels `(n,)`, predictions `(S, n)` -> `(S, n)` scores whose mean is the
            metric, or None where the metric is not a mean over examples.
    """

    name: str
    family: str
    value: Callable[[np.ndarray, np.ndarray], float]
    resampled: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    per_example: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


def weighted_sums(
    counts: UInt8[np.ndarray, "resamples examples"], columns: Shaped[np.ndarray, "examples columns"]
) -> Float[np.ndarray, "resamples columns"]:
    """Sum each column over each resample: `counts @ columns` in float64, block by block."""
    values = columns.astype(np.float64)
    starts = range(0, len(counts), ROWS_PER_BLOCK)
    return np.concatenate([counts[at : at + ROWS_PER_BLOCK].astype(np.float64) @ values for at in starts])


def safe_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is not positive (F1 or correlation of a constant)."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), 0.0)
