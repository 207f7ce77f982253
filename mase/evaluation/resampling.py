"""Bootstrap over examples and seeds, vectorised.

A resample of examples is a row of counts, drawn once per task and used for every row of a
table, so that all differences are paired. Each seed is scored on each resample; seeds are
then resampled on top.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8

from mase import seeds

RESAMPLES = 4000


@lru_cache(maxsize=16)
def example_counts(
    examples: int, resamples: int = RESAMPLES, purpose: str = "", seed: int = 0
) -> UInt8[np.ndarray, "resamples examples"]:
    """Return how often each example occurs in each bootstrap resample.

    Args:
        examples: n, the examples of one task; each resample has n draws with replacement.
        purpose: the task; other tasks get independent resamples.
    """
    generator = seeds.numpy_generator(seed, f"bootstrap/examples/{purpose}")
    counts = np.empty((resamples, examples), np.uint8)
    for row in range(resamples):
        counts[row] = np.bincount(generator.integers(examples, size=examples), minlength=examples)
    counts.flags.writeable = False
    return counts


def seed_weights(
    count: int, resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "resamples seeds"]:
    """Return the weights of S seeds in each resample; S - 1 of them are drawn with replacement.

    Drawing S - 1 instead of S makes the variance of the resampled mean equal to the unbiased
    estimate s^2 / S (Rao and Wu 1988), which matters for the 2 to 5 seeds that are usual.
    With one seed there is nothing to resample, and training noise is not covered. Two equal
    rows with training noise, 200 examples, 400 simulations: the 95% interval of their
    difference held 0 in 72% (1 seed), 92% (2), 94% (3), 98% (5) and 97% (10) of them.
    """
    if count == 1:
        return np.ones((resamples, 1))
    drawn = count - 1
    return generator.multinomial(drawn, np.full(count, 1 / count), size=resamples) / drawn


def difference_draws(
    first: Float[np.ndarray, "resamples seeds_a"],
    second: Float[np.ndarray, "resamples seeds_b"],
    *,
    same_seeds: bool,
    generator: np.random.Generator,
) -> Float[np.ndarray, "resamples"]:
    """Return bootstrap draws of the difference in mean score, first row minus second.

    Args:
        first, second: the score of each seed on each resample of the *same* examples.
        same_seeds: both rows have the same seeds in the same order, which are then resampled
            jointly; otherwise each row's seeds are resampled on their own.
    """
    if same_seeds:
        gaps = first - second
        return (seed_weights(gaps.shape[1], len(gaps), generator) * gaps).sum(axis=1)
    means = [
        (seed_weights(scores.shape[1], len(scores), generator) * scores).sum(axis=1)
        for scores in (first, second)
    ]
    return means[0] - means[1]
