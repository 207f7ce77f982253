"""Span: a question, a context, and where in the context the answer stands, if it does.

The answers are in one column, as texts with their offsets in a column of its own (what
`mase.data.squad` makes of the official files), or as an object with the lists `text` and `answer_start`
(the copy on the hub). No answer means that the context holds none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mase.data.records import Example, Fields, RowError, answer, checked_text, value
from mase.errors import ParamsError
from mase.params import FileColumns, TaskParams

ID = "id"  # column of the question's own name, if there is one
STARTS = "answer_starts"  # column of the offsets, where the answers are mere texts
IMPOSSIBLE = "is_impossible"  # column that says whether there is no answer
OPTIONAL = (ID, STARTS, IMPOSSIBLE)
NOWHERE = (-1, -1)  # the label of an unanswerable question
ANSWERABLE, UNANSWERABLE = "answerable", "unanswerable"


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example; all questions on one context belong together in a split.

    The label is the first answer's (start, end) in characters of the stripped context, (-1, -1) where
    there is none; the references are all answers' texts.

    Raises:
        RowError: if a text or the answers are missing, an answer does not stand where it should, or
            `is_impossible` contradicts the answers.
    """
    if columns.text_b is None:
        raise ParamsError(f"task {task.name}: a span task needs columns.text_b, the context")
    named = f"question {fields[ID]}: " if ID in fields else ""
    question = checked_text(
        value(fields, columns.text_a), f"{named}column {columns.text_a!r}", keep_empty=keep_empty
    )
    raw = value(fields, columns.text_b)
    context = checked_text(raw, f"{named}column {columns.text_b!r}", keep_empty=keep_empty)
    texts, starts = _answers(columns.label, fields, named)
    spans = [_located(raw, t, s, named) for t, s in zip(texts, starts, strict=True)]
    if fields.get(IMPOSSIBLE, not spans) == bool(spans):
        what = "is_impossible, but it has answers" if spans else "no answers, but not is_impossible"
        raise RowError(f"{named}{what}", "correct the question, or delete it")
    cut = len(raw) - len(raw.lstrip())
    start, end = (spans[0][0] - cut, spans[0][1] - cut) if spans else NOWHERE
    return Example(
        (question,),
        (context,),
        (start, end),
        references=tuple(texts),
        group=context,
        stratum=ANSWERABLE if spans else UNANSWERABLE,
        id=str(fields[ID]) if ID in fields else None,
    )


def _answers(column: str, fields: Fields, named: str) -> tuple[Sequence[str], Sequence[int]]:
    """Return the answers' texts and offsets, of either form."""
    try:
        found = answer(fields, column)
    except RowError as cause:
        raise RowError(f"{named}{cause}", cause.remedy) from cause
    texts: Any = found.get("text") if isinstance(found, Mapping) else found
    starts: Any = found.get("answer_start") if isinstance(found, Mapping) else fields.get(STARTS)
    lists = isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)
    whole = lists and all(isinstance(t, str) for t in texts) and all(type(s) is int for s in starts)
    if not whole:
        raise RowError(
            f"{named}column {column!r} holds no answers with their offsets",
            f"give an object with the lists text and answer_start, or texts beside {STARTS!r}; empty lists "
            "where there is no answer",
        )
    return texts, starts


def _located(context: str, text: str, start: int, named: str) -> tuple[int, int]:
    """Return where an answer stands, without the white space around it."""
    if not text.strip() or start < 0 or context[start : start + len(text)] != text:
        there = context[max(0, start) : max(0, start) + len(text)]
        raise RowError(
            f"{named}the answer {text!r:.80} is not at character {start} of the context; {there!r:.80} is",
            "count offsets in characters (not bytes) of the context as it stands",
        )
    first = start + len(text) - len(text.lstrip())
    return first, first + len(text.strip())
