"""Rows with everything that the frozen parts say about them: tokens, proxies, graphs.

`Inputs` is built once per split and hands out label-free batches by index. Nothing in
it trains; the towers and the parser ran before (`mase.proxies`, `mase.scenegraph`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mase.data import Rows
from mase.modalities import Modality
from mase.model.batch import Batch, GraphBatch
from mase.model.graph_nodes import GraphNodes, NodeFeatures, csr_ranges
from mase.model.tokens import TokenTable

if TYPE_CHECKING:
    from mase.model.task_model import Extra


def normalised(text: str) -> str:
    """Return the text as the duplicate test of Eq. 8 sees it: case and spacing do not count."""
    return " ".join(text.casefold().split())


class Inputs:
    """One split's rows as label-free model inputs.

    Tokens, proxies and graphs are of text rows: one per row, or `rows.options` per question of multiple
    choice. Lengths and batches are asked for by row.

    Args:
        rows: the rows; their labels are not read.
        tokens: None for a method without a backbone.
        proxies: per modality, (n, d_m) standardised sentence features.
        nodes: the aligned scene graphs; None without MSSG.
        node_sources: where the nodes' proxies come from, concatenated in this order.
        frozen: flat (T, W) output of the backbone's frozen layers, if cached.
        extras: inputs that only some models read, by name.
        same: the rows with the texts that tell duplicates; by default, `rows`.
        by_sentence: rows are duplicates if they share either sentence (siamese features), else
            only if they share the whole pair; choices of one question always are.
    """

    def __init__(
        self,
        rows: Rows,
        tokens: TokenTable | None,
        proxies: Mapping[Modality, np.ndarray],
        nodes: GraphNodes | None = None,
        node_sources: Sequence[NodeFeatures] = (),
        frozen: Tensor | None = None,
        by_sentence: bool = True,
        extras: "Mapping[str, Extra] | None" = None,
        same: Rows | None = None,
    ):
        self.rows, self.tokens, self.proxies = rows, tokens, dict(proxies)
        self.nodes, self.node_sources, self.frozen = nodes, tuple(node_sources), frozen
        self.extras = dict(extras or {})
        first, second = (same or rows).texts_a, (same or rows).texts_b or [""] * len(rows.texts_a)
        pairs = [tuple(normalised(t) for t in (a, b) if t) for a, b in zip(first, second, strict=True)]
        self.keys = pairs if by_sentence or rows.options > 1 else [("\n".join(pair),) for pair in pairs]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        """Return token counts, for bucketing: of the longest choice; ones where there are no tokens."""
        if self.tokens is None:
            return np.ones(len(self.rows), np.int64)
        return self.tokens.lengths.reshape(len(self.rows), self.rows.options).max(1)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the rows `indices` as a batch of their text rows; it holds no labels."""
        indices = self.rows.text_rows(indices)
        ids = mask = types = frozen = None
        if self.tokens is not None:
            ids, mask, types = self.tokens.pad(indices)
            frozen = self._frozen(indices, mask)
        keys = tuple(self.keys[i] for i in indices)
        proxies: dict[Modality, Tensor] = {m: torch.from_numpy(f[indices]) for m, f in self.proxies.items()}
        width = 0 if ids is None else ids.shape[1]
        extras = {name: extra.batch(indices, width) for name, extra in self.extras.items()}
        return Batch(ids, mask, types, frozen, proxies, self._graph(indices, width), keys, extras)

    def _frozen(self, indices: np.ndarray, mask: Tensor) -> Tensor | None:
        if self.frozen is None or self.tokens is None:
            return None
        flat, _ = csr_ranges(self.tokens.pointer, indices)
        states = torch.zeros(*mask.shape, self.frozen.shape[1])
        states[mask] = self.frozen[torch.from_numpy(flat)].float()
        return states

    def _graph(self, indices: np.ndarray, width: int) -> GraphBatch | None:
        nodes, tokens = self.nodes, self.tokens
        if nodes is None or tokens is None:
            return None
        node, instance = csr_ranges(nodes.pointer, indices)
        token, token_node = csr_ranges(nodes.token_pointer, node)
        edge, edge_instance = csr_ranges(nodes.edge_pointer, indices)
        first_node = np.searchsorted(instance, np.arange(len(indices)))
        first_token = np.array([tokens.columns(int(i), width).start for i in indices], dtype=np.int64)
        row = instance[token_node]
        position = row * width + first_token[row] + nodes.token_position[token]
        return GraphBatch(
            instance=torch.from_numpy(instance),
            token_node=torch.from_numpy(token_node),
            token_position=torch.from_numpy(position),
            proxies={
                m: torch.from_numpy(np.concatenate([s.of(m, node) for s in self.node_sources], axis=1))
                for m in self.proxies
            },
            edge_index=torch.from_numpy(nodes.edge_index[:, edge] + first_node[edge_instance]),
            edge_type=torch.from_numpy(nodes.edge_type[edge]),
        )
