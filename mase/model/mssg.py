"""Entity-level injection over the multimodal-semantic scene graph (Section 3.5).

Each node of a sentence's scene graph carries, per modality, its own vector: the mean of
its tokens' states for text, the towers' vectors of its phrase for the others. HGAT
(Eqs. 12-14) passes messages, the nodes of a sentence are averaged per modality, and the
read-out is projected back to the fusion width.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mase.modalities import Modality
from mase.model.batch import GraphBatch
from mase.model.hgat import HeterogeneousGraphAttention
from mase.params import GraphParams


class SceneGraphInjection(nn.Module):
    """Read-out of HGAT over the MSSG, one vector per sentence and modality.

    Args:
        params: sizes and mode of the attention.
        modalities: in order; "text" uses the token states.
        widths: per modality, the width of a node's vector.
        fusion_width: D, the width of the read-out.
        relations: R, the size of the closed relation inventory.

    Reading of the paper: Eq. 14's "decoupling" is taken as block-wise weights, so that
    slice m of every node stays modality m; see `mase.model.hgat`.
    """

    def __init__(
        self,
        params: GraphParams,
        modalities: Sequence[Modality],
        widths: Mapping[Modality, int],
        fusion_width: int,
        relations: int,
    ):
        super().__init__()
        self.modalities = tuple(modalities)
        self.width = params.width
        self.enter = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(widths[m], params.width), nn.LayerNorm(params.width))
                for m in modalities
            }
        )
        self.attention = HeterogeneousGraphAttention(
            len(modalities),
            params.width,
            relations,
            heads=params.heads,
            bases=params.bases,
            layers=params.layers,
            attention=params.attention,
            dropout=params.dropout,
        )
        self.leave = nn.ModuleDict({m: nn.Linear(params.width, fusion_width) for m in modalities})

    def forward(
        self, states: Float[Tensor, "B L W"], graph: GraphBatch
    ) -> tuple[Float[Tensor, "B M D"], Bool[Tensor, "B"]]:
        """Return the read-out per modality, and which sentences have any node."""
        rows = len(states)
        nodes = self.nodes(states, graph)
        readout = mean_by(graph.instance, nodes.flatten(1), rows).view(rows, len(self.modalities), self.width)
        occupied = torch.zeros(rows, dtype=torch.bool, device=states.device)
        occupied[graph.instance] = True
        return self.project(readout), occupied

    def nodes(self, states: Float[Tensor, "B L W"], graph: GraphBatch) -> Float[Tensor, "N M F"]:
        """Return every node's vector per modality, after the attention."""
        text = mean_by(
            graph.token_node, states.flatten(0, 1)[graph.token_position].float(), len(graph.instance)
        )
        nodes = torch.stack(
            [self.enter[m](text if m == "text" else graph.proxies[m]) for m in self.modalities], dim=1
        )  # (N, M, F)
        return self.attention(nodes, graph.edge_index, graph.edge_type)

    def project(self, readout: Float[Tensor, "G M F"]) -> Float[Tensor, "G M D"]:
        """Return vectors of the graph's width at the fusion width."""
        return torch.stack([self.leave[m](readout[:, i]) for i, m in enumerate(self.modalities)], dim=1)


def mean_by(owner: Tensor, values: Float[Tensor, "P F"], groups: int) -> Float[Tensor, "G F"]:
    """Return the mean of `values` per owner; zero where an owner has none."""
    total = values.new_zeros(groups, values.shape[1]).index_add(0, owner, values)
    count = values.new_zeros(groups).index_add(0, owner, values.new_ones(len(owner)))
    return total / count.clamp_min(1.0).unsqueeze(1)
