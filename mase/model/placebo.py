"""Whose proxies each thing of a split gets: its own, or in the placebo `proxies.shuffle` another's."""

from typing import Literal

import numpy as np

from mase import seeds
from mase.artifacts import digest_of
from mase.data import Rows
from mase.params import Params


def donors(
    params: Params, rows: Rows, kind: Literal["rows", "nodes", "sentences", "questions"], count: int
) -> np.ndarray:
    """Return whose proxy each of a split's `count` things gets, (count,): its own, or the placebo.

    With `proxies.shuffle` all stand on one random cycle and each takes its neighbour's: none
    keeps its own, and two nodes with the same phrase get unrelated vectors. The cycle follows
    from `data.split_seed` and the ids of the rows, not from labels or batches. A single row
    has no other to take from: it, and its nodes, keep their own.
    """
    order = np.arange(count)
    if params.proxies.shuffle and len(rows) > 1:
        name = f"shuffle/{kind}/{digest_of(list(rows.ids))}"
        cycle = seeds.numpy_generator(params.data.split_seed, name).permutation(count)
        order[cycle] = np.roll(cycle, 1)
    return order
