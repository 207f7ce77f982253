"""What a metric is: a value, and the same value on many resamples at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8

ROWS_PER_BLOCK = 512  # resamples converted to float64 at a time; bounds the memory
NUMBERS_PER_BLOCK = 2**25  # 256 MB: fewer resamples at a time where there are many examples


@dataclass(frozen=True)
class Metric:
    """One metric of labels `(n,)` and of what the predictions say, column by column.

    Attributes:
        name: as written in a task's `metrics`; unique within its family.
        family: the task family that it scores; multiple choice is scored as classification.
        value: labels `(n,)`, predictions `(n,)`, or `(n, k)` where it reads k > 1 columns
            -> a number; higher is better, but of a spread.
        resampled: labels `(n,)`, predictions `(S, n)` or `(S, n, k)`, counts `(R, n)` -> `(R, S)`,
            where `counts[r, i]` says how often example i occurs in resample r.
        per_example: labels `(n,)`, predictions `(S, n)` or `(S, n, k)` -> `(S, n)` scores whose mean
            is the metric, or None where the metric is not a mean over examples.
        columns: of the predictions that it reads, all of them numbers. Beside them, a column
            `constant_<column>` holds what the best constant prediction would have there.
        unavailable: says why the columns may be missing on this machine, for a metric that needs a
            program from elsewhere; None where they must be there.
        has_constant: false where a constant prediction says nothing about chance, as it gets this metric
            by construction: never answering is right on every question without an answer.
    """

    name: str
    family: str
    value: Callable[[np.ndarray, np.ndarray], float]
    resampled: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    per_example: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    columns: tuple[str, ...] = ("prediction",)
    unavailable: Callable[[], str | None] | None = None
    has_constant: bool = True


def weighted_sums(
    counts: UInt8[np.ndarray, "resamples examples"], columns: Shaped[np.ndarray, "examples columns"]
) -> Float[np.ndarray, "resamples columns"]:
    """Sum each column over each resample: `counts @ columns` in float64, block by block."""
    values = columns.astype(np.float64)
    size = max(1, min(ROWS_PER_BLOCK, NUMBERS_PER_BLOCK // counts.shape[1]))
    starts = range(0, len(counts), size)
    return np.concatenate([counts[at : at + size].astype(np.float64) @ values for at in starts])


def safe_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is not positive (F1 or correlation of a constant)."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), 0.0)
