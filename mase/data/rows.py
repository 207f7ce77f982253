"""The one form in which texts and labels travel."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mase.artifacts import digest_of

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples of one task, column by column.

    Attributes:
        ids: names of the rows, unique within a data set.
        texts_a: the text, or the first of a pair; of multiple choice, the question once per choice.
        texts_b: the second of a pair; None for single texts; of multiple choice, the choices in order.
        labels: (n,) int64 class ids (positions in `TaskParams.labels`), int64 indices of the right
            choice, or float32 scores; (n, k) where a label is several numbers.
        groups: rows of one group never fall into two splits; None where rows are independent.
        options: texts per row in texts_a and texts_b, which have n * options entries: the number of
            choices of a question, 1 for every other task. Row i has those from i * options on.
        references: (n,) what a right answer may be, in words; None where the label says it all.
        strata: (n,) names of the kinds that a split keeps in proportion and scores are broken down by;
            None: the labels are stratified by.

    Raises:
        ValueError: if the columns do not fit together in length, or `options` is less than 1.
    """

    ids: tuple[str, ...]
    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...] | None
    labels: np.ndarray
    groups: tuple[str, ...] | None = None
    options: int = 1
    references: tuple[tuple[str, ...], ...] | None = None
    strata: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.options < 1:
            raise ValueError(f"options must be 1 or more, got {self.options}")
        for name, times in (
            ("texts_a", self.options),
            ("texts_b", self.options),
            ("labels", 1),
            ("groups", 1),
            ("references", 1),
            ("strata", 1),
        ):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.ids) * times:
                wanted = f"{len(self.ids)} ids" + (f" of {times} options" if times > 1 else "")
                raise ValueError(f"{name} has {len(column)} rows, but there are {wanted}")

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
        texts = self.text_rows(chosen)
        return Rows(
            ids=_pick(self.ids, chosen),
            texts_a=_pick(self.texts_a, texts),
            texts_b=None if self.texts_b is None else _pick(self.texts_b, texts),
            labels=self.labels[chosen],
            groups=None if self.groups is None else _pick(self.groups, chosen),
            options=self.options,
            references=None if self.references is None else _pick(self.references, chosen),
            strata=None if self.strata is None else _pick(self.strata, chosen),
        )

    def text_rows(self, indices: Sequence[int] | ArrayLike) -> np.ndarray:
        """Return (k * options,) positions in texts_a and texts_b of the k rows at `indices`, in order."""
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        return (chosen[:, None] * self.options + np.arange(self.options)).reshape(-1)

    def pairs(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each row: one, two for a pair, (question, *choices) of multiple choice."""
        if self.options > 1:
            second = self.texts_b or ()
            starts = range(0, len(self.texts_a), self.options)
            return ((self.texts_a[i], *second[i : i + self.options]) for i in starts)
        columns = (self.texts_a,) if self.texts_b is None else (self.texts_a, self.texts_b)
        return zip(*columns, strict=True)

    def texts(self) -> list[str]:
        """Return the different texts, first and second ones together, sorted."""
        return sorted({*self.texts_a, *(self.texts_b or ())})

    def digest(self) -> str:
        """Return a digest of the content, ids among it; order and label type count."""
        return digest_of(self._content())

    def _content(self) -> list[Any]:
        labels = [str(self.labels.dtype), self.labels.tolist()]
        content: list[Any] = [self.ids, self.texts_a, self.texts_b, labels, self.groups]
        if self.options != 1:
            content.append(self.options)
        if self.references is not None or self.strata is not None:
            content.append([self.references, self.strata])
        return content


_OPTIONAL = ("texts_b", "groups", "references", "strata")


def together(parts: Mapping[str, Rows]) -> Rows:
    """Return the rows of several parts one after the other, each id after its part's name.

    Raises:
        ValueError: see `joined`.
    """
    named = [replace(part, ids=tuple(f"{name}/{row}" for row in part.ids)) for name, part in parts.items()]
    return joined(named)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several parts one after the other.

    Raises:
        ValueError: if the parts are not of one task: some with second texts, groups or the like, some
            without, or with another number of options.
    """
    kinds = {(*(getattr(part, name) is None for name in _OPTIONAL), part.options) for part in parts}
    if len(kinds) != 1:
        raise ValueError(f"{len(parts)} parts are not rows of one task")
    columns = {
        name: tuple(chain.from_iterable(getattr(part, name) for part in parts))
        for name in ("ids", "texts_a", *_OPTIONAL)
        if getattr(parts[0], name) is not None
    }
    labels = np.concatenate([part.labels for part in parts])
    return replace(parts[0], labels=labels, **columns)


def _pick(column: tuple[T, ...], chosen: np.ndarray) -> tuple[T, ...]:
    return tuple(column[index] for index in chosen.tolist())
