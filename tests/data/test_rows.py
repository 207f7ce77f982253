"""Rows: columns of one length, taken by index, identified by content."""

import numpy as np
import pytest

import mase.data
from mase.data import Rows

PAIRS = Rows(
    ids=("a", "b", "c"),
    texts_a=("x", "y", "x"),
    texts_b=("z", "x", "w"),
    labels=np.array([0, 1, 1], dtype=np.int64),
    groups=("g", "g", "h"),
)


def test_take_keeps_the_order_that_is_asked_for() -> None:
    taken = PAIRS.take([2, 0])
    assert taken.ids == ("c", "a")
    assert taken.texts_b == ("w", "z")
    assert taken.labels.tolist() == [1, 0]
    assert taken.groups == ("h", "g")
    assert len(PAIRS.take([])) == 0


def test_texts_are_unique_and_sorted() -> None:
    assert PAIRS.texts() == ["w", "x", "y", "z"]


def test_the_digest_sees_every_column_and_the_order() -> None:
    columns = {name: getattr(PAIRS, name) for name in ("ids", "texts_a", "texts_b", "labels", "groups")}
    changes = [
        {"ids": ("a", "b", "d")},
        {"texts_a": ("x", "y", "v")},
        {"texts_b": None},
        {"labels": np.array([0, 1, 0], dtype=np.int64)},
        {"labels": PAIRS.labels.astype(np.float32)},
        {"groups": None},
    ]
    others = [Rows(**{**columns, **change}) for change in changes] + [PAIRS.take([1, 0, 2])]
    digests = {rows.digest() for rows in [PAIRS, *others]}
    assert len(digests) == len(others) + 1
    assert Rows(**columns) == PAIRS
    assert Rows(**columns).digest() == PAIRS.digest()
    assert all(other != PAIRS for other in others)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="labels has 2 rows, but there are 1 ids"):
        Rows(("a",), ("x",), None, np.array([0, 1]))


def test_the_public_surface_is_small() -> None:
    assert mase.data.__all__ == ["Rows", "TaskData", "prepare"]
