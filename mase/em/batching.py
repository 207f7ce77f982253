"""The order in which rows are seen: a function of the seed and the epoch alone."""

import numpy as np

from mase import seeds

BATCHES_PER_BUCKET = 32


def training_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return an epoch's batches: shuffled rows, bucketed by length, batches shuffled again.

    Rows are shuffled, cut into buckets of 32 batches, sorted by token count within a
    bucket, so that a batch pads little, and the batches are shuffled.
    """
    generator = seeds.numpy_generator(seed, f"order/{epoch}")
    order = generator.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), batch_size * BATCHES_PER_BUCKET):
        bucket = order[start : start + batch_size * BATCHES_PER_BUCKET]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches.extend(bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]
