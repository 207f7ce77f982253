"""From records to rows: which family's reader a record goes to, and how examples become columns."""

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from mase.data import classification, cloze, generation, multiple_choice, probes, regression, span, vqa
from mase.data.records import Example, Fields
from mase.data.rows import Rows
from mase.params import FileColumns, TaskParams

T = TypeVar("T")
BESIDE = {"vqa": vqa.BESIDE}  # fields that a family's examples need beside the columns that a task names
OPTIONAL = {"cloze": cloze.OPTIONAL, "span": span.OPTIONAL}  # fields that they read where there are such

PARSERS = {
    "classification": classification.parse,
    "regression": regression.parse,
    "vqa": vqa.parse,
    "multiple_choice": multiple_choice.parse,
    "cloze": cloze.parse,
    "generation": generation.parse,
    "span": span.parse,
}


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool = False) -> Example:
    """Return what a record asks, read as the task's family reads it; with a template, of an object.

    Raises:
        RowError: if the record cannot be a row of the task.
    """
    of_object = task.family == "classification" and task.templates
    reader = probes.parse if of_object else PARSERS[task.family]
    return reader(task, columns, fields, keep_empty=keep_empty)


def needed(task: TaskParams, columns: FileColumns) -> list[str]:
    """Return the names of the fields that every record of a task has."""
    named = (columns.article, columns.text_a, columns.text_b, *columns.choices, columns.label)
    return [name for name in (*named, *BESIDE.get(task.family, ())) if name is not None]


def optional(task: TaskParams) -> tuple[str, ...]:
    """Return the names of the fields that a record of a task may have."""
    return OPTIONAL.get(task.family, ())


def rows_of(task: TaskParams, ids: Sequence[str], examples: Sequence[Example]) -> Rows:
    """Return examples as rows: labels (n,) int64 class ids or choices, or float32 scores.

    `ids` name the examples that have no name of their own. A column that no example has is None;
    one that only some have holds nothing for the others.
    """
    pairs = any(example.texts_b is not None for example in examples)
    labels = [example.label for example in examples]
    return Rows(
        ids=tuple(
            own if example.id is None else example.id for own, example in zip(ids, examples, strict=True)
        ),
        texts_a=tuple(chain.from_iterable(example.texts_a for example in examples)),
        texts_b=tuple(chain.from_iterable(example.texts_b or () for example in examples)) if pairs else None,
        labels=np.asarray(labels, dtype=np.float32 if task.family == "regression" else np.int64),
        options=task.options,
        groups=_column([example.group for example in examples], ""),
        references=_column([example.references for example in examples], ()),
        strata=_column([example.stratum for example in examples], ""),
    )


def _column(values: Sequence[T | None], nothing: T) -> tuple[T, ...] | None:
    if all(value is None for value in values):
        return None
    return tuple(nothing if value is None else value for value in values)
