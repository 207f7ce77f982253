"""What the model sees: a batch without labels.

Labels travel beside a batch, never in it, so that no forward pass can use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.modalities import Modality


@dataclass(frozen=True)
class Part:
    """Tensors that travel together."""

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        if device.type == "cpu":
            return self
        return replace(self, **{each.name: _on(device, getattr(self, each.name)) for each in fields(self)})


def _on(device: torch.device, value: Any) -> Any:
    if isinstance(value, Tensor | Part):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: _on(device, part) for name, part in value.items()}
    return value


@dataclass(frozen=True)
class GraphBatch(Part):
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


@dataclass(frozen=True)
class Batch(Part):
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
