"""From the label that a source writes to the label that a run computes with."""

import difflib

import numpy as np

from mase.params import TaskParams


class LabelError(ValueError):
    """A label is none of the task's; readers add the place and raise a `DataError`."""


def parse_label(task: TaskParams, text: str) -> float:
    """Return the class id, or the score, that a label's text stands for.

    Raises:
        LabelError: if the class is not one of `task.labels`, or the score is not a number
            within `task.label_range`.
    """
    if task.family == "classification":
        return _class_id(task.labels, text.strip())
    assert task.label_range is not None  # TaskParams refuses a regression task without it
    low, high = task.label_range
    try:
        score = float(text)
    except ValueError:
        raise LabelError(f"score {text!r} is not a number") from None
    if not low <= score <= high:  # also refuses NaN
        raise LabelError(f"score {text!r} is outside {low:g} to {high:g}")
    return score


def _class_id(labels: tuple[str, ...], text: str) -> int:
    if text in labels:
        return labels.index(text)
    near = difflib.get_close_matches(text, labels, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise LabelError(f"unknown label {text!r}{hint}; the labels are {', '.join(labels)}")


def label_array(task: TaskParams, values: list[float]) -> np.ndarray:
    """Return labels as (n,) int64 class ids or float32 scores."""
    return np.asarray(values, dtype=np.int64 if task.family == "classification" else np.float32)
