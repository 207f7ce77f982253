"""What the model sees: a batch without labels.

Labels travel beside a batch, never in it, so that no forward pass can use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.modalities import Modality


class Part(Protocol):
    """A part of a batch that only some models read (`mase.model.task_model.Extra`)."""

    def to(self, device: torch.device) -> "Part":
        """Return the part on a device."""
        ...


@dataclass(frozen=True)
class GraphBatch:
    """The scene graphs of a batch as one graph with separate components.

    Attributes:
        instance: (N,) row of the batch that each node belongs to.
        token_node, token_position: (P,) pairs node <- token (flat position in B * L) of the span.
        proxies: per proxy modality, (N, d_m) the towers' vectors of the node's phrase.
        edge_index: (2, E) source and target node; edge_type: (E,) relation ids.
    """

    instance: Int[Tensor, "N"]
    token_node: Int[Tensor, "P"]
    token_position: Int[Tensor, "P"]
    proxies: dict[Modality, Float[Tensor, "N d"]]
    edge_index: Int[Tensor, "2 E"]
    edge_type: Int[Tensor, "E"]

    def to(self, device: torch.device) -> "GraphBatch":
        """Return the batch on a device."""
        return GraphBatch(
            self.instance.to(device),
            self.token_node.to(device),
            self.token_position.to(device),
            {m: v.to(device) for m, v in self.proxies.items()},
            self.edge_index.to(device),
            self.edge_type.to(device),
        )


@dataclass(frozen=True)
class Batch:
    """Rows ready for the model.

    Attributes:
        ids, mask, types: (B, L) tokens of the joined row; `ids` is None where the method has no backbone.
        frozen: (B, L, W) cached output of the backbone's frozen layers, if any.
        proxies: per proxy modality, (B, d_m).
        graph: the scene graphs, if the method uses them.
        keys: per row, normalised texts; rows that share one are no negatives of each other.
        extras: what else the model asked for, by name.
    """

    ids: Int[Tensor, "B L"] | None
    mask: Bool[Tensor, "B L"] | None
    types: Int[Tensor, "B L"] | None
    frozen: Float[Tensor, "B L W"] | None
    proxies: dict[Modality, Float[Tensor, "B d"]]
    graph: GraphBatch | None
    keys: tuple[tuple[str, ...], ...]
    extras: Mapping[str, Part] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            ids=None if self.ids is None else self.ids.to(device),
            mask=None if self.mask is None else self.mask.to(device),
            types=None if self.types is None else self.types.to(device),
            frozen=None if self.frozen is None else self.frozen.to(device),
            proxies={m: v.to(device) for m, v in self.proxies.items()},
            graph=None if self.graph is None else self.graph.to(device),
            extras={name: part.to(device) for name, part in self.extras.items()},
        )
