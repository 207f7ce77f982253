"""Long contexts cut into overlapping windows, each an ordinary pair row: question, part of the context.

A window is a run of whole words that fits beside its question, so it is a substring of the context
and a character of it is a character of the context. Words longer than `LONGEST_PIECE` may be cut.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from functools import cache, partial

import numpy as np
from transformers import PreTrainedTokenizerBase

from mase.data import Rows

log = logging.getLogger(__name__)

LONGEST_PIECE = 32  # characters; what stands between two spaces is cut after that many
PIECE = re.compile(rf"\s*\S{{1,{LONGEST_PIECE}}}")
STEPS = 8  # the room for a context is a multiple of max_length / STEPS, so that questions share windows
Span = tuple[int, int]  # of characters


def windows(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, shared: int) -> Rows:
    """Return the windows of all contexts, those of one question in a row, with its id as their group.

    Labels become (start, end) in characters of the window, (-1, -1) where it does not hold the whole
    answer. A question that takes more than half of the row is cut at a word.

    Args:
        rows: questions, contexts, and labels (n, 2) in characters of the context.
        max_length: tokens of a row, special ones included.
        shared: tokens that neighbouring windows have in common, at most a third of those that a window
            has beside its question; a warning tells where that is less than asked.
    """
    assert rows.texts_b is not None
    count = _Counts(tokenizer)
    count.learn((*rows.texts_a, *rows.texts_b))
    free = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    step = max(1, max_length // STEPS)
    if shared > (most := max(1, free // step * step) // 3):
        warn_of_cut(shared, most, max_length)
    found: dict[tuple[str, int], list[Span]] = {}
    owner: list[int] = []
    questions: list[str] = []
    spans: list[Span] = []
    for row, (question, context) in enumerate(zip(rows.texts_a, rows.texts_b, strict=True)):
        question = question[: _spans(question, count(question), max(1, free // 2), 0)[0][1]]
        room = max(1, (free - int(count(question)[1].sum())) // step * step)
        if (context, room) not in found:
            found[context, room] = _spans(context, count(context), room, min(shared, room // 3))
        owner += [row] * len(found[context, room])
        questions += [question] * len(found[context, room])
        spans += found[context, room]
    return _as_rows(rows, np.array(owner, dtype=np.int64), questions, spans)


@cache
def warn_of_cut(asked: int, most: int, max_length: int) -> None:
    """Say, once for all splits, that neighbouring windows share less than asked."""
    log.warning(
        "task.doc_stride is %d, above a third of a window: neighbouring windows share %d tokens at most "
        "(backbone.max_length %d)",
        asked, most, max_length,
    )  # fmt: skip


class _Counts:
    """Tokens of every piece of a text, whether it begins a window or goes on after a space."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.count = partial(tokenizer, add_special_tokens=False, return_attention_mask=False)
        self.known: dict[str, int] = {}

    def learn(self, texts: Iterable[str]) -> None:
        """Count the pieces of texts that are not known yet, all at once."""
        pieces = {piece for text in set(texts) for piece in PIECE.findall(text)} - self.known.keys()
        asked = sorted(pieces | {piece.lstrip() for piece in pieces})
        if asked:
            ids = self.count(asked)["input_ids"]
            alone = dict(zip(asked, map(len, ids), strict=True))
            self.known |= {piece: max(alone[piece], alone[piece.lstrip()]) for piece in pieces}

    def __call__(self, text: str) -> tuple[list[Span], np.ndarray]:
        """Return a text's pieces, without the space before each, and their token counts."""
        matches = list(PIECE.finditer(text))
        spans = [(m.end() - len(m.group().lstrip()), m.end()) for m in matches]
        return spans, np.array([self.known[m.group()] for m in matches], dtype=np.int64)


def _spans(text: str, counted: tuple[list[Span], np.ndarray], room: int, shared: int) -> list[Span]:
    """Return the windows of a text, the whole of it where it fits; an empty text has one."""
    pieces, counts = counted
    if not pieces:
        return [(0, len(text))]
    total = np.concatenate([[0], np.cumsum(counts)])
    spans: list[Span] = []
    first = last = 0
    while last < len(pieces):
        last = max(first + 1, int(np.searchsorted(total, total[first] + room, side="right")) - 1)
        spans.append((pieces[first][0], pieces[last - 1][1]))
        first = max(first + 1, int(np.searchsorted(total, total[last] - shared, side="left")))
    return spans


def _as_rows(rows: Rows, owner: np.ndarray, questions: Sequence[str], spans: Sequence[Span]) -> Rows:
    assert rows.texts_b is not None
    bounds = np.array(spans, dtype=np.int64).reshape(-1, 2)
    labels = rows.labels[owner]
    inside = (labels[:, 0] >= bounds[:, 0]) & (labels[:, 1] <= bounds[:, 1]) & (labels[:, 0] >= 0)
    number = np.arange(len(owner)) - np.searchsorted(owner, owner)
    names = [rows.ids[i] for i in owner.tolist()]
    return Rows(
        ids=tuple(f"{name}/{k}" for name, k in zip(names, number.tolist(), strict=True)),
        texts_a=tuple(questions),
        texts_b=tuple(rows.texts_b[i][a:b] for i, (a, b) in zip(owner.tolist(), spans, strict=True)),
        labels=np.where(inside[:, None], labels - bounds[:, :1], -1),
        groups=tuple(names),
        references=None if rows.references is None else tuple(rows.references[i] for i in owner.tolist()),
        strata=None if rows.strata is None else tuple(rows.strata[i] for i in owner.tolist()),
    )
