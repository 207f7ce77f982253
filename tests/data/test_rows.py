"""Rows: columns of one length, taken by index, identified by content."""

import numpy as np
import pytest

import mase.data
from mase.data import Rows

SCORE = Rows(("a",), ("x",), None, np.array([0.5], dtype=np.float32))

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


def test_the_digest_of_stored_rows_has_not_changed() -> None:
    """Computed before rows had options: finished units are named by such digests."""
    assert PAIRS.digest() == "54128294d0e04bef70fd"
    assert SCORE.digest() == "d9bf747903ca79b80a43"


QUESTIONS = Rows(
    ids=("a", "b"),
    texts_a=("where", "where", "where", "who", "who", "who"),
    texts_b=("here", "there", "nowhere", "me", "you", "here"),
    labels=np.array([2, 0], dtype=np.int64),
    groups=("g", "h"),
    options=3,
)


def test_a_question_keeps_its_choices_in_order() -> None:
    taken = QUESTIONS.take([1, 0, 1])
    assert len(taken) == 3
    assert taken.ids == ("b", "a", "b")
    assert taken.texts_a == ("who",) * 3 + ("where",) * 3 + ("who",) * 3
    assert taken.texts_b == ("me", "you", "here", "here", "there", "nowhere", "me", "you", "here")
    assert taken.labels.tolist() == [0, 2, 0]
    assert taken.groups == ("h", "g", "h")
    assert taken.options == 3
    assert len(QUESTIONS.take([])) == 0
    assert QUESTIONS.take([0, 1]) == QUESTIONS


def test_a_question_and_its_choices_are_one_row() -> None:
    assert list(QUESTIONS.pairs()) == [("where", "here", "there", "nowhere"), ("who", "me", "you", "here")]
    assert QUESTIONS.texts() == ["here", "me", "nowhere", "there", "where", "who", "you"]
    assert QUESTIONS.text_rows([1]).tolist() == [3, 4, 5]


def test_the_number_of_choices_is_part_of_the_content() -> None:
    pairs = Rows(("a", "b"), ("x", "x"), ("y", "z"), np.array([0, 1]))
    question = Rows(("a",), ("x", "x"), ("y", "z"), np.array([0]), options=2)
    assert question != pairs
    assert question.digest() != pairs.digest()
    empty = pairs.take([])
    assert empty != question.take([])


@pytest.mark.parametrize(
    ("options", "message"),
    [(2, "texts_a has 6 rows, but there are 2 ids of 2 options"), (0, "options must be 1 or more, got 0")],
)
def test_texts_that_do_not_fit_the_options_are_refused(options: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rows(("a", "b"), QUESTIONS.texts_a, QUESTIONS.texts_b, QUESTIONS.labels, options=options)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="labels has 2 rows, but there are 1 ids"):
        Rows(("a",), ("x",), None, np.array([0, 1]))


def test_the_public_surface_is_small() -> None:
    assert mase.data.__all__ == ["Rows", "TaskData", "prepare"]
