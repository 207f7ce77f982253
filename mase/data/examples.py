"""From records to rows: which family's reader a record goes to, and how examples become columns."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from mase.data import classification, multiple_choice, regression
from mase.data.records import Example, Fields
from mase.data.rows import Rows
from mase.params import FileColumns, TaskParams

PARSERS = {
    "classification": classification.parse,
    "regression": regression.parse,
    "multiple_choice": multiple_choice.parse,
}


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool = False) -> Example:
    """Return what a record asks, read as the task's family reads it.

    Raises:
        RowError: if the record cannot be a row of the task.
    """
    return PARSERS[task.family](task, columns, fields, keep_empty=keep_empty)


def rows_of(task: TaskParams, ids: Sequence[str], examples: Sequence[Example]) -> Rows:
    """Return examples as rows: labels (n,) int64 class ids or choices, or float32 scores."""
    pairs = any(example.texts_b is not None for example in examples)
    labels = [example.label for example in examples]
    return Rows(
        ids=tuple(ids),
        texts_a=tuple(chain.from_iterable(example.texts_a for example in examples)),
        texts_b=tuple(chain.from_iterable(example.texts_b or () for example in examples)) if pairs else None,
        labels=np.asarray(labels, dtype=np.float32 if task.family == "regression" else np.int64),
        options=task.options,
    )
