"""What a span model reads of a window beyond tokens: where its context is, and its sentences' proxies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.data import Rows
from mase.modalities import Modality
from mase.model.batch import Part
from mase.model.features import Standardiser, unit
from mase.model.graph_nodes import csr_ranges
from mase.model.placebo import donors
from mase.model.tokens import TokenTable
from mase.params import Params
from mase.proxies import ProxyTable
from mase.scenegraph.tokens import sentence_spans

if TYPE_CHECKING:
    from mase.model.graph_nodes import GraphNodes
    from mase.model.inputs import Inputs
    from mase.model.preparation import Aligned, Fitted, Tables
    from mase.scenegraph import GraphTable

NULL = 0  # position within a row that stands for "no answer": its first token
CONTEXT = 1  # segment of the context's tokens


@dataclass(frozen=True)
class SpanBatch(Part):
    """Where the contexts of a batch are. A position counts from a row's first token, a column from the left.

    Attributes:
        column: (B, L) column of each position; columns differ from positions with padding on the left.
        context: (B, L) positions that hold context.
        offsets: (B, L, 2) start and end of each position's token, in characters of the window.
        sentence: (B, L) per column, which of `vectors` its sentence has; 0 for question and special tokens.
        vectors: per proxy modality, (S + 1, d_m): ones, then the proxies of the batch's sentences.
    """

    column: Int[Tensor, "B L"]
    context: Bool[Tensor, "B L"]
    offsets: Int[Tensor, "B L 2"]
    sentence: Int[Tensor, "B L"]
    vectors: dict[Modality, Float[Tensor, "S d"]]


@dataclass(frozen=True)
class SpanInputs:
    """The same of a whole split; S sentences, counted once for every window that they are in.

    Attributes:
        tokens: the windows' tokens.
        pointer: (n + 1,) first sentence of each window.
        place: (T,) of each token, which sentence of its window it is in, from 1; 0 for none.
        tables: per proxy modality, the vectors, and the scale that the questions' have.
        rows: per proxy modality, (S,) each sentence's row of the table.
    """

    tokens: TokenTable
    pointer: np.ndarray
    place: np.ndarray
    tables: dict[Modality, tuple[ProxyTable, Standardiser]]
    rows: dict[Modality, np.ndarray]

    def batch(self, indices: np.ndarray, width: int) -> SpanBatch:
        """Return the part of a batch: of the windows `indices`, padded to `width` tokens."""
        shape = (len(indices), width)
        first = np.array([self.tokens.columns(int(i), width).start for i in indices], dtype=np.int64)
        column = np.minimum(first[:, None] + np.arange(width), width - 1)
        context, offsets = np.zeros(shape, bool), np.zeros((*shape, 2), np.int64)
        sentence = np.zeros(shape, np.int64)
        found, owner = csr_ranges(self.pointer, indices)
        before = np.searchsorted(owner, np.arange(len(indices)))  # sentences of the rows before
        token, row = csr_ranges(self.tokens.pointer, indices)
        position = token - self.tokens.pointer[indices][row]
        context[row, position] = self.tokens.segment[token] == CONTEXT
        offsets[row, position] = np.stack([self.tokens.start[token], self.tokens.end[token]], axis=1)
        place = self.place[token]
        sentence[row, first[row] + position] = np.where(place > 0, place + before[row], 0)
        return SpanBatch(
            torch.from_numpy(column),
            torch.from_numpy(context),
            torch.from_numpy(offsets),
            torch.from_numpy(sentence),
            {m: torch.from_numpy(self._vectors(m, found)) for m in self.tables},
        )

    def _vectors(self, modality: Modality, sentences: np.ndarray) -> np.ndarray:
        table, scale = self.tables[modality]
        vectors = scale(unit(table.vectors()[self.rows[modality][sentences]]))
        return np.concatenate([np.ones((1, table.width), np.float32), vectors])


def sentences(text: str) -> list[str]:
    """Return the sentences of a window, those at its ends as it cuts them."""
    return [text[start:end] for start, end in sentence_spans(text)]


def span_inputs(
    params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
) -> SpanInputs:
    """Place the windows' sentences on their tokens and find the sentences' vectors.

    With `proxies.shuffle` every sentence has another one's vector (`given_texts`).
    """
    assert aligned.tokens is not None and rows.texts_b is not None
    tokens = aligned.tokens
    found_in = {text: sentence_spans(text) for text in set(rows.texts_b)}
    spans = [found_in[text] for text in rows.texts_b]
    pointer = np.concatenate([[0], np.cumsum([len(s) for s in spans])]).astype(np.int64)
    place = np.zeros(len(tokens.ids), np.int64)
    for row, found in enumerate(spans):
        here = slice(tokens.pointer[row], tokens.pointer[row + 1])
        starts = np.array([start for start, _ in found], dtype=np.int64)
        number = np.searchsorted(starts, tokens.end[here] - 1, side="right").clip(min(1, len(found)))
        place[here] = np.where(tokens.segment[here] == CONTEXT, number, 0)
    texts = [text[a:b] for text, found in zip(rows.texts_b, spans, strict=True) for a, b in found]
    given = given_texts(params, rows, "sentences", texts)
    named = [given[text] for text in texts]
    return SpanInputs(
        tokens,
        pointer,
        place,
        {m: (tables.sentences[m], fitted.sentence[m]) for m in tables.sentences},
        {m: tables.sentences[m].rows(named) for m in tables.sentences},
    )


def given_texts(
    params: Params, rows: Rows, kind: Literal["sentences", "questions"], texts: Iterable[str]
) -> dict[str, str]:
    """Return, for each text of a split, the text whose vector it has wherever it stands.

    That is itself; with `proxies.shuffle`, the next on a random cycle of the distinct texts
    (`placebo.donors`). Overlapping windows so give a sentence one wrong vector.
    """
    distinct = sorted(set(texts))
    order = donors(params, rows, kind, len(distinct))
    return {text: distinct[i] for text, i in zip(distinct, order.tolist(), strict=True)}


def question_rows(params: Params, rows: Rows) -> Int[np.ndarray, "n"]:
    """Return, for each window, the first that has the question whose proxy it has."""
    first: dict[str, int] = {}
    for row, question in enumerate(rows.texts_a):
        first.setdefault(question, row)
    given = given_texts(params, rows, "questions", rows.texts_a)
    return np.array([first[given[question]] for question in rows.texts_a], dtype=np.int64)


def node_sentences(
    params: Params, rows: Rows, graphs: "GraphTable", nodes: "GraphNodes"
) -> tuple[list[str], Int[np.ndarray, "N"]]:
    """Return texts, and which of them each node stands in: the question, or a sentence of the context.

    With `proxies.shuffle` the texts are others', the same ones that the tokens have.
    """
    assert rows.texts_b is not None
    found_in = {text: sentence_spans(text) for text in set(rows.texts_b)}
    first = dict(zip(found_in, np.cumsum([0, *map(len, found_in.values())]).tolist(), strict=False))
    own = [text[a:b] for text, found in found_in.items() for a, b in found]
    given = given_texts(params, rows, "sentences", own)
    asked = given_texts(params, rows, "questions", rows.texts_a)
    number = len(own) + np.repeat(np.arange(len(rows)), np.diff(nodes.pointer))
    flat, owner = csr_ranges(graphs.node_pointer, graphs.rows(rows.texts_b))
    starts = graphs.node_start[flat]
    in_context = np.flatnonzero(nodes.sentence == CONTEXT)  # row by row, in the order of the table
    edges = np.searchsorted(owner, np.arange(len(rows) + 1))
    for row, text in enumerate(rows.texts_b):
        here = slice(edges[row], edges[row + 1])
        begins = [start for start, _ in found_in[text]]
        place = np.searchsorted(begins, starts[here], side="right") - 1
        number[in_context[here]] = first[text] + place
    return [*(given[text] for text in own), *(asked[text] for text in rows.texts_a)], number


def span_targets(rows: Rows, inputs: "Inputs") -> Int[Tensor, "n 3"]:
    """Return, of each window, the answer's first and last token position, and its context's size in tokens.

    Both positions are `NULL` where the window does not hold the answer.
    """
    tokens = inputs.tokens
    assert tokens is not None
    targets = np.full((len(rows), 3), NULL, np.int64)
    for row, (start, end) in enumerate(rows.labels.tolist()):
        here = slice(tokens.pointer[row], tokens.pointer[row + 1])
        targets[row, 2] = np.count_nonzero(tokens.segment[here] == CONTEXT)
        positions = tokens.tokens_of_span(row, CONTEXT, start, end)  # none where start and end are -1
        if len(positions):
            targets[row, :2] = positions[0], positions[-1]
    return torch.from_numpy(targets)
