"""Multiple choice: a question, its choices, and which of them is right.

The choices are in columns of their own (`choices: [first, second]`), or one column lists them:
texts; objects with `label` and `text` (CommonsenseQA's official files); or an object with the
lists `label` and `text` (its copy on the hub). Where choices bring labels, the answer is one of
those; elsewhere it is one of `TaskParams.labels`, in the order of the choices.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mase.data.classification import position
from mase.data.records import UNLABELLED, Example, Fields, RowError, checked_text, label_text, text, value
from mase.params import FileColumns, TaskParams

Choices = tuple[Sequence[str], list[str]]  # what the answer calls them, and their texts


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example: the question once per choice, the choices, the right one's index.

    Raises:
        RowError: if a text or the answer is missing, the answer is none of the choices, or there
            are not `task.options` choices.
    """
    question = text(fields, columns.text_a, keep_empty=keep_empty)
    names, choices = _choices(task, columns, fields, keep_empty)
    if len(choices) != task.options:
        raise RowError(
            f"{len(choices)} choices, but the task has options: {task.options}",
            "every question needs as many; correct the row or delete it",
        )
    answer = label_text(fields, columns.label)
    if not answer:
        raise RowError(f"no answer in column {columns.label!r}", UNLABELLED)
    return Example((question,) * len(choices), tuple(choices), position(answer, names))


def _choices(task: TaskParams, columns: FileColumns, fields: Fields, keep_empty: bool) -> Choices:
    if len(columns.choices) != 1:
        return task.labels, [text(fields, name, keep_empty=keep_empty) for name in columns.choices]
    column = columns.choices[0]
    names, found = _listed(column, value(fields, column))
    if names is not None and len(set(names)) < len(found):
        raise RowError(f"the choices in {column!r} do not have a label each, or share one")
    texts = [
        checked_text(choice, f"choice {number} in column {column!r}", keep_empty=keep_empty)
        for number, choice in enumerate(found, start=1)
    ]
    return task.labels if names is None else names, texts


def _listed(column: str, listed: Any) -> tuple[list[str] | None, list[Any]]:
    """Return the labels of the choices, None where they have none, and what should be their texts."""
    if isinstance(listed, Mapping):
        labels, texts = listed.get("label"), listed.get("text")
        if isinstance(labels, list) and isinstance(texts, list) and len(labels) == len(texts):
            return [str(label) for label in labels], texts
    elif isinstance(listed, list) and all(isinstance(choice, Mapping) for choice in listed):
        if all({"label", "text"} <= choice.keys() for choice in listed):
            return [str(choice["label"]) for choice in listed], [choice["text"] for choice in listed]
    elif isinstance(listed, list):
        return None, listed
    raise RowError(
        f"column {column!r} is not a list of choices",
        "list texts, or objects with label and text; in a delimited file name one column for each choice",
    )
