"""Classification: a text, or a pair, and the name of its class."""

import difflib
from collections.abc import Sequence

from mase.data.records import Example, Fields, RowError, label_text, sentences
from mase.params import FileColumns, TaskParams


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example; its label is the position in `task.labels`.

    Raises:
        RowError: if a text is missing or the class is not one of the task's.
    """
    texts_a, texts_b = sentences(columns.text_a, columns.text_b, fields, keep_empty=keep_empty)
    return Example(texts_a, texts_b, position(label_text(fields, columns.label), task.labels))


def position(name: str, labels: Sequence[str]) -> int:
    """Return where a name is among the labels.

    Raises:
        RowError: if it is not there, with the nearest one.
    """
    if name in labels:
        return labels.index(name)
    near = difflib.get_close_matches(name, labels, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise RowError(f"unknown label {name!r}{hint}; the labels are {', '.join(labels)}")
