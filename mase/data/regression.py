"""Regression: a text, or a pair, and a score."""

from mase.data.records import Example, Fields, RowError, label_text, sentences
from mase.params import FileColumns, TaskParams


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example; its label is the score.

    Raises:
        RowError: if a text is missing, or the score is not a number within `task.label_range`.
    """
    texts_a, texts_b = sentences(columns.text_a, columns.text_b, fields, keep_empty=keep_empty)
    return Example(texts_a, texts_b, _score(task, label_text(fields, columns.label)))


def _score(task: TaskParams, text: str) -> float:
    assert task.label_range is not None  # TaskParams refuses a regression task without it
    low, high = task.label_range
    try:
        score = float(text)
    except ValueError:
        raise RowError(f"score {text!r} is not a number") from None
    if not low <= score <= high:  # also refuses NaN
        raise RowError(f"score {text!r} is outside {low:g} to {high:g}")
    return score
