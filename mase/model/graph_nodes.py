"""The nodes and edges of every row's scene graph, aligned with the row's tokens (MSSG, Section 3.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mase.data import Rows
from mase.modalities import Modality
from mase.model.tokens import TokenTable
from mase.scenegraph import GraphTable


@dataclass(frozen=True)
class GraphNodes:
    """The nodes of every row, flat: where they stand in the row and which vectors they have."""

    pointer: np.ndarray  # (n + 1,)
    token_pointer: np.ndarray  # (N + 1,)
    token_position: np.ndarray  # positions within the row's tokens
    phrase: np.ndarray  # (N,) index of the node's phrase
    sentence: np.ndarray  # (N,) 0 or 1
    edge_pointer: np.ndarray  # (n + 1,)
    edge_index: np.ndarray  # (2, E) local to the row
    edge_type: np.ndarray


def _nodes_of_row(
    table: GraphTable, tokens: TokenTable, row: int, texts: Sequence[int]
) -> dict[str, list[np.ndarray]]:
    """Collect one row's nodes and edges; a pair's graph is the union of its sentences' graphs."""
    found: dict[str, list[np.ndarray]] = {
        k: [] for k in ("position", "count", "phrase", "sentence", "edge", "type")
    }
    offset = 0
    for sentence, text in enumerate(texts):
        nodes = slice(table.node_pointer[text], table.node_pointer[text + 1])
        edges = slice(table.edge_pointer[text], table.edge_pointer[text + 1])
        count = int(table.node_pointer[text + 1] - table.node_pointer[text])
        for start, end in zip(table.node_start[nodes], table.node_end[nodes], strict=True):
            positions = tokens.tokens_of_span(row, sentence, int(start), int(end))
            found["position"].append(positions)
            found["count"].append(np.array([len(positions)]))
        found["phrase"].append(np.asarray(table.node_phrase[nodes]))
        found["sentence"].append(np.full(count, sentence))
        found["edge"].append(np.stack([table.edge_source[edges], table.edge_target[edges]]) + offset)
        found["type"].append(np.asarray(table.edge_type[edges]))
        offset += count
    return found


def _pointer(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _join(parts: list[np.ndarray], shape: tuple[int, ...] = (0,), axis: int = 0) -> np.ndarray:
    return np.concatenate(parts, axis=axis).astype(np.int64) if parts else np.zeros(shape, np.int64)


def graph_nodes(table: GraphTable, tokens: TokenTable, rows: Rows) -> GraphNodes:
    """Align the scene graphs of the rows' sentences with the rows' tokens."""
    sentences = [table.rows(rows.texts_a)] + ([table.rows(rows.texts_b)] if rows.texts_b is not None else [])
    collected = [
        _nodes_of_row(table, tokens, row, [int(s[row]) for s in sentences])
        for row in range(len(rows.texts_a))
    ]
    return GraphNodes(
        pointer=_pointer([sum(len(p) for p in c["phrase"]) for c in collected]),
        token_pointer=_pointer(_join([n for c in collected for n in c["count"]])),
        token_position=_join([p for c in collected for p in c["position"]]),
        phrase=_join([p for c in collected for p in c["phrase"]]),
        sentence=_join([s for c in collected for s in c["sentence"]]),
        edge_pointer=_pointer([sum(len(t) for t in c["type"]) for c in collected]),
        edge_index=_join([e for c in collected for e in c["edge"]], (2, 0), axis=1),
        edge_type=_join([t for c in collected for t in c["type"]]),
    )


def csr_ranges(pointer: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat positions of several CSR rows, and for each the row's place in `indices`."""
    counts = (pointer[indices + 1] - pointer[indices]).astype(np.int64)
    owner = np.repeat(np.arange(len(indices)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return pointer[indices][owner] + within, owner


@dataclass(frozen=True)
class NodeFeatures:
    """One source of node proxies n^m: a table of vectors and each node's row in it.

    Attributes:
        vectors: per proxy modality, (texts, d_m).
        index: (N,) row of the table.
    """

    vectors: Mapping[Modality, np.ndarray]
    index: np.ndarray

    def of(self, modality: Modality, node: np.ndarray) -> np.ndarray:
        """Return the vectors (len(node), d_m) of some nodes."""
        return self.vectors[modality][self.index[node]]
