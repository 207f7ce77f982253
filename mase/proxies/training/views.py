"""Views of a text: what a training step shows of it."""

from collections.abc import Sequence

import numpy as np

Rows = tuple[int, ...]  # rows of the token embedding, start and end of text included


def with_dropout(rows: Rows, share: float, generator: np.random.Generator) -> Rows:
    """Leave out each token with probability `share`, but never all, and never start and end of text."""
    if not share or len(rows) <= 3:
        return rows
    kept = generator.random(len(rows) - 2) >= share
    if not kept.any():
        kept[generator.integers(len(kept))] = True
    return (rows[0], *(row for row, keep in zip(rows[1:-1], kept, strict=True) if keep), rows[-1])


def two_of(group: Sequence[Rows], generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Draw two different members of a group; its only member twice if it has one."""
    if len(group) == 1:
        return group[0], group[0]
    first, second = generator.choice(len(group), size=2, replace=False)
    return group[first], group[second]
