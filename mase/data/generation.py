"""Generation: a text and the sentences that a model may write of it.

The text column holds a text or a list of words (CommonGen's concepts), the target column one sentence
or a list of them. A model trains on one sentence a row and is scored per text against all of its sentences,
so the rows that are evaluated are merged by text (`merged`). Rows of the same text, or of the same concepts
in another order, never fall into two splits.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mase.data.records import UNLABELLED, Example, Fields, RowError, answer, checked_text, value
from mase.data.rows import Rows
from mase.params import FileColumns, TaskParams

SEPARATOR = "#"
WORDLESS = (
    "fill it in or delete the row, whatever empty_texts says: sentences are scored by the words of their text"
)


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example; its references are the sentences, its label says nothing.

    Raises:
        RowError: if there is no word in the text (even where empty texts are kept: a sentence is scored by
            them), or no sentence in the target column.
    """
    source = value(fields, columns.text_a)
    if isinstance(source, list):
        where = f"a word of column {columns.text_a!r}"
        words = [checked_text(word, where, keep_empty=keep_empty) for word in source]
        if not any(words):
            raise RowError(f"column {columns.text_a!r} lists no word", WORDLESS)
        text, group = " ".join(words), SEPARATOR.join(sorted(word.casefold() for word in words))
    else:
        text = checked_text(source, f"column {columns.text_a!r}", keep_empty=True)
        if not text:
            raise RowError(f"column {columns.text_a!r} is empty", WORDLESS)
        group = " ".join(text.casefold().split())
    return Example((text,), None, 0, references=_sentences(columns, fields), group=group)


def _sentences(columns: FileColumns, fields: Fields) -> tuple[str, ...]:
    found = answer(fields, columns.label)
    listed = found if isinstance(found, list) else [found]
    where = (
        f"a sentence of column {columns.label!r}" if isinstance(found, list) else f"column {columns.label!r}"
    )
    sentences = tuple(checked_text(sentence, where, keep_empty=True) for sentence in listed)
    if not any(sentences):
        raise RowError(f"no sentence in column {columns.label!r}", UNLABELLED)
    return tuple(sentence for sentence in sentences if sentence)


def one_sentence_each(rows: Rows) -> Rows:
    """Return a row per sentence: what a model trains on, and the E-step judges by.

    A row of several sentences is repeated, its id followed by the sentence's number.
    """
    references = _references(rows)
    if all(len(group) == 1 for group in references):
        return rows
    counts = [len(group) for group in references]
    ids = [
        name if count == 1 else f"{name}.{number}"
        for name, count in zip(rows.ids, counts, strict=True)
        for number in range(1, count + 1)
    ]
    repeated = rows.take(np.repeat(np.arange(len(rows)), counts))
    single = tuple((sentence,) for group in references for sentence in group)
    return replace(repeated, ids=tuple(ids), references=single)


def merged(rows: Rows) -> Rows:
    """Return a row per text, the first one of its group, with the sentences of all, each once, in order.

    Raises:
        ValueError: if the rows have no references or no groups.
    """
    references = _references(rows)
    if rows.groups is None:
        raise ValueError("rows of generation have a group each")
    first: dict[str, int] = {}
    sentences: dict[str, dict[str, None]] = {}
    for position, (group, own) in enumerate(zip(rows.groups, references, strict=True)):
        first.setdefault(group, position)
        sentences.setdefault(group, {}).update(dict.fromkeys(own))
    kept = rows.take(list(first.values()))
    return replace(kept, references=tuple(tuple(sentences[group]) for group in first))


def _references(rows: Rows) -> Sequence[tuple[str, ...]]:
    if rows.references is None:
        raise ValueError("rows of generation have references")
    return rows.references
