"""Groups of texts that mean alike, and the batches of pairs that are drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mase.proxies.tokenizer import ClipTokenizer
from mase.proxies.training.views import Rows, two_of, with_dropout


@dataclass(frozen=True)
class PositiveSource:
    """Groups of one kind.

    Attributes:
        name: for the card.
        groups: texts that are positives of each other; a text alone is paired with itself.
        per_batch: pairs of this kind in a batch, at most one from a group.
        dropout: share of tokens that each side of a pair leaves out.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    per_batch: int
    dropout: float

    def texts(self) -> list[str]:
        """Return every text, group by group."""
        return [text for group in self.groups for text in group]


@dataclass(frozen=True)
class PairBatch:
    """Pairs of token rows, and which texts they were before dropout."""

    first: list[Rows]
    second: list[Rows]
    same: np.ndarray  # (pairs, pairs) bool: text i of the first side is text j of the second


class PairSampler:
    """Draws batches of positive pairs from several sources.

    Args:
        sources: in a fixed order; a batch holds them one after the other.
        tokenizer: of the tower's vocabulary.
        generator: all draws come from it.
    """

    def __init__(
        self, sources: Sequence[PositiveSource], tokenizer: ClipTokenizer, generator: np.random.Generator
    ) -> None:
        self._sources = sources
        self._generator = generator
        self._groups = [
            [tuple(tuple(tokenizer.encode(text)[0]) for text in group) for group in source.groups]
            for source in sources
        ]

    def draw(self) -> PairBatch:
        """Return the next batch."""
        pairs: list[tuple[Rows, Rows, float]] = []
        for source, groups in zip(self._sources, self._groups, strict=True):
            count = min(source.per_batch, len(groups))
            for index in self._generator.choice(len(groups), size=count, replace=False):
                pairs.append((*two_of(groups[index], self._generator), source.dropout))
        first = [with_dropout(left, share, self._generator) for left, _, share in pairs]
        second = [with_dropout(right, share, self._generator) for _, right, share in pairs]
        return PairBatch(
            first, second, _same([left for left, _, _ in pairs], [right for _, right, _ in pairs])
        )


def _same(left: Sequence[Rows], right: Sequence[Rows]) -> np.ndarray:
    number: dict[Rows, int] = {}
    sides = [[number.setdefault(rows, len(number)) for rows in side] for side in (left, right)]
    return np.array(sides[0])[:, None] == np.array(sides[1])
