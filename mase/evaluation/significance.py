"""Paired tests and intervals for the rows of a table.

The bootstrap covers the sampling of examples and of training seeds, for any metric. The
sign-flip and McNemar tests treat the trained models as given; they are a check where the
metric is a mean of per-example scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

LEVEL = 0.95
EXACT_UP_TO = 12  # pairs; 2^12 sign patterns are enumerated, beyond that they are drawn


@dataclass(frozen=True)
class Comparison:
    """A difference between two rows' main metric, first minus second, as a share (not per cent).

    Attributes:
        difference: of the mean scores.
        low, high: 95% percentile interval of the bootstrap.
        p: two-sided p-value of the bootstrap.
        detectable: the smallest true difference found with 80% power, (1.96 + 0.84) standard errors.
        sign_flip: p-value of the sign-flip test, where the metric is a mean over examples.
        mcnemar: exact p-value, for classification with one seed a row.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float
    sign_flip: float | None = None
    mcnemar: float | None = None


def bootstrap_p(draws: Float[np.ndarray, "resamples"]) -> float:
    """Return the two-sided p-value that inverts the percentile interval.

    Twice the smaller share of draws at or beyond 0, counting the observed sample itself, so
    it is never 0; draws of exactly 0 count on both sides, so equal rows get 1.
    """
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (draws.size + 1))


def compare(
    difference: float,
    draws: Float[np.ndarray, "resamples"],
    *,
    sign_flip: float | None = None,
    mcnemar: float | None = None,
) -> Comparison:
    """Summarise bootstrap draws of a difference."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    detectable = float(stats.norm.ppf(1 - tail) + stats.norm.ppf(0.8)) * float(draws.std())
    return Comparison(difference, float(low), float(high), bootstrap_p(draws), detectable, sign_flip, mcnemar)


def sign_flip_p(
    differences: Float[np.ndarray, "n"], generator: np.random.Generator, permutations: int = 4000
) -> float:
    """Return the two-sided p-value of the sign-flip test of mean 0.

    Args:
        differences: per example, first row minus second (averaged over seeds). Under the null
            the two rows could be swapped in each example, which flips its sign.

    The patterns are enumerated where at most 12 differences are not 0, else drawn.
    """
    moved = differences[np.abs(differences) > 1e-12]
    if moved.size == 0:
        return 1.0
    observed = abs(moved.sum()) - 1e-9
    if moved.size <= EXACT_UP_TO:
        patterns = (np.arange(2**moved.size)[:, None] >> np.arange(moved.size)) & 1
        return float((np.abs((2 * patterns - 1) @ moved) >= observed).mean())
    signs = 2 * generator.integers(0, 2, size=(permutations, moved.size), dtype=np.int8) - 1
    extreme = int((np.abs(signs @ moved) >= observed).sum())
    return (extreme + 1) / (permutations + 1)


def mcnemar_p(first_correct: Bool[np.ndarray, "n"], second_correct: Bool[np.ndarray, "n"]) -> float:
    """Return McNemar's exact two-sided p-value for two classifiers on the same examples."""
    only_first = int((first_correct & ~second_correct).sum())
    only_second = int((~first_correct & second_correct).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, float)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Return Student's interval for the mean over seeds, or None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * deviation / np.sqrt(len(values))
    return mean - half, mean + half
