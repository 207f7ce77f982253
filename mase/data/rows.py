"""The one form in which texts and labels travel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mase.artifacts import digest_of


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples of one task, column by column.

    Attributes:
        ids: names of the rows, unique within a data set.
        texts_a: the text, or the first of a pair.
        texts_b: the second of a pair; None for single texts.
        labels: (n,) int64 class ids (positions in `TaskParams.labels`) or float32 scores.
        groups: rows of one group never fall into two splits; None where rows are independent.

    Raises:
        ValueError: if the columns differ in length.
    """

    ids: tuple[str, ...]
    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...] | None
    labels: np.ndarray
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("texts_a", "texts_b", "labels", "groups"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.ids):
                raise ValueError(f"{name} has {len(column)} rows, but there are {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        """Compare by content, label type included."""
        return isinstance(other, Rows) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self.digest())

    def take(self, indices: Sequence[int] | ArrayLike) -> "Rows":
        """Return the rows at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        return Rows(
            ids=_pick(self.ids, chosen),
            texts_a=_pick(self.texts_a, chosen),
            texts_b=None if self.texts_b is None else _pick(self.texts_b, chosen),
            labels=self.labels[chosen],
            groups=None if self.groups is None else _pick(self.groups, chosen),
        )

    def pairs(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each row: one, or two for a pair."""
        columns = (self.texts_a,) if self.texts_b is None else (self.texts_a, self.texts_b)
        return zip(*columns, strict=True)

    def texts(self) -> list[str]:
        """Return the different texts, first and second ones together, sorted."""
        return sorted({*self.texts_a, *(self.texts_b or ())})

    def digest(self) -> str:
        """Return a digest of the content; order and label type count."""
        return digest_of(self._content())

    def _content(self) -> list[Any]:
        labels = [str(self.labels.dtype), self.labels.tolist()]
        return [self.ids, self.texts_a, self.texts_b, labels, self.groups]


def _pick(column: tuple[str, ...], chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(column[index] for index in chosen.tolist())
