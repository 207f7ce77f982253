"""Heterogeneous graph attention over the multimodal-semantic scene graph (Eqs. 12-14).

Axes: N nodes, E edges, M modalities, F width, K heads, C = F / K width of one head,
R relation types, P relation bases, T edges in a tile.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mase.errors import ParamsError, ScenegraphError

Attention = Literal["shared", "per_modality"]
NEGATIVE_SLOPE = 0.2
SMALLEST_TILE, LARGEST_TILE = 8, 128


@dataclass(frozen=True)
class GroupedEdges:
    """Edges sorted by relation and laid out in tiles of one relation each.

    `slot` is the padded row of each sorted edge, `tile_relation` the relation of each
    tile. About E / R edges fit a tile, so that padding never exceeds 2E + 8R rows.
    """

    source: Int[Tensor, "edges"]
    target: Int[Tensor, "edges"]
    relation: Int[Tensor, "edges"]
    slot: Int[Tensor, "edges"]
    tile_relation: Int[Tensor, "tiles"]
    tile: int


def group_by_relation(
    edge_index: Int[Tensor, "2 edges"], edge_type: Int[Tensor, "edges"], relations: int
) -> GroupedEdges:
    """Sort edges by relation and give each a row in tiles of one relation.

    Raises:
        ScenegraphError: an edge type is not one of the R relations.
    """
    relation, order = torch.sort(edge_type, stable=True)
    edges, device = edge_type.numel(), edge_type.device
    tile = SMALLEST_TILE
    while tile * relations < edges and tile < LARGEST_TILE:
        tile *= 2
    counts = torch.bincount(edge_type, minlength=relations)
    if counts.numel() > relations:
        raise ScenegraphError(f"edge types must be in 0..{relations - 1}, got {counts.numel() - 1}")
    tiles = (counts + tile - 1) // tile
    first_row = (tiles.cumsum(0) - tiles) * tile
    first_edge = counts.cumsum(0) - counts
    slot = torch.arange(edges, device=device) + (first_row - first_edge)[relation]
    tile_relation = torch.repeat_interleave(torch.arange(relations, device=device), tiles)
    return GroupedEdges(edge_index[0, order], edge_index[1, order], relation, slot, tile_relation, tile)


def segment_softmax(
    scores: Float[Tensor, "edges *axes"], segment: Int[Tensor, "edges"], segments: int
) -> Float[Tensor, "edges *axes"]:
    """Normalise scores over the edges of each segment (Eq. 13), in float32 or wider.

    Subtracting each segment's maximum keeps `exp` finite for scores of any size.
    """
    if scores.dtype != torch.float64:
        scores = scores.float()
    shape = (segments, *scores.shape[1:])
    index = segment.view(-1, *[1] * (scores.dim() - 1)).expand_as(scores)
    highest = scores.new_full(shape, -torch.inf).scatter_reduce(0, index, scores.detach(), "amax")
    weights = (scores - highest[segment]).exp()
    total = weights.new_zeros(shape).index_add(0, segment, weights)
    return weights / total[segment]


class HeterogeneousGraphAttentionLayer(nn.Module):
    """Attend once over all typed in-edges of every node (Eqs. 12-14).

    Parameters (all shared by every graph):
        basis          (P or R, M, F, K*C)  the matrices that W is mixed from, or W itself
        coefficients   (R, M, K, P)         how relation r mixes them; absent without bases
        attention_vector (2, R, M, K, C)    a[k, r]: its halves for the target i and the source j
    """

    def __init__(
        self,
        modalities: int,
        width: int,
        relations: int,
        *,
        heads: int,
        bases: int | None,
        attention: Attention,
        dropout: float,
    ) -> None:
        super().__init__()
        self.relations, self.heads, self.attention, self.dropout = relations, heads, attention, dropout
        matrices = relations if bases is None else bases
        self.basis = nn.Parameter(torch.empty(matrices, modalities, width, width))
        self.attention_vector = nn.Parameter(torch.empty(2, relations, modalities, heads, width // heads))
        self.coefficients: nn.Parameter | None = None
        if bases is not None:
            self.coefficients = nn.Parameter(torch.empty(relations, modalities, heads, bases))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh parameters; W has Glorot's variance with and without bases."""
        width = self.basis.shape[-1]
        nn.init.uniform_(self.basis, -((3 / width) ** 0.5), (3 / width) ** 0.5)
        bound = (6 / (2 * self.attention_vector.shape[-1] + 1)) ** 0.5
        nn.init.uniform_(self.attention_vector, -bound, bound)
        if self.coefficients is not None:
            nn.init.normal_(self.coefficients, std=self.coefficients.shape[-1] ** -0.5)

    def relation_weights(self) -> Float[Tensor, "relations modalities width heads head_width"]:
        """Return W[k, r] of every relation, block m of which acts on slice m only."""
        basis = self.basis.unflatten(-1, (self.heads, -1))
        if self.coefficients is None:
            return basis
        return torch.einsum("rmkp,pmfkc->rmfkc", self.coefficients, basis)

    def messages(
        self, nodes: Float[Tensor, "N M F"], weights: Float[Tensor, "R M F K C"], edges: GroupedEdges
    ) -> Float[Tensor, "E M K C"]:
        """Return W[k, r] H_j of every edge: one batched product for all relations and heads."""
        rows = nodes.new_zeros(edges.tile_relation.numel() * edges.tile, *nodes.shape[1:])
        rows = rows.index_copy(0, edges.slot, nodes[edges.source]).unflatten(0, (-1, edges.tile))
        products = torch.einsum("stmf,smfd->stmd", rows, weights[edges.tile_relation].flatten(-2))
        return products.flatten(0, 1)[edges.slot].unflatten(-1, (self.heads, -1))

    def edge_attention(
        self,
        nodes: Float[Tensor, "N M F"],
        messages: Float[Tensor, "E M K C"],
        weights: Float[Tensor, "R M F K C"],
        edges: GroupedEdges,
    ) -> Float[Tensor, "E M_or_1 K"]:
        """Return alpha_ij[k, r] of every edge (Eqs. 12, 13), one slice when shared.

        a^T [W H_i || W H_j] = (W^T a_target)^T H_i + a_source^T W H_j: the second term reads
        the message, and the first is one product for all nodes, so W H_i is never formed.
        """
        target, source = self.attention_vector
        scores = torch.einsum("nmf,rmfk->nrmk", nodes, torch.einsum("rmfkc,rmkc->rmfk", weights, target))
        score = scores[edges.target, edges.relation] + (messages * source[edges.relation]).sum(-1)
        if self.attention == "shared":
            score = score.sum(1, keepdim=True)
        return segment_softmax(functional.leaky_relu(score, NEGATIVE_SLOPE), edges.target, nodes.shape[0])

    def forward(self, nodes: Float[Tensor, "N M F"], edges: GroupedEdges) -> Float[Tensor, "N M F"]:
        """Return the attended nodes (Eq. 14)."""
        weights = self.relation_weights()
        messages = self.messages(nodes, weights, edges)
        alpha = self.edge_attention(nodes, messages, weights, edges)
        alpha = functional.dropout(alpha, self.dropout, self.training)
        weighted = alpha.unsqueeze(-1) * messages
        gathered = weighted.new_zeros(nodes.shape[0], *weighted.shape[1:])
        return functional.elu(gathered.index_add(0, edges.target, weighted).flatten(-2))


class HeterogeneousGraphAttention(nn.Module):
    """Pass typed messages over scene graphs, modality by modality (Section 3.5).

        F(H_i, H_j)     = a[k,r]^T [W[k,r] H_i || W[k,r] H_j]                          (12)
        alpha_ij[k,r]   = softmax over j in N_i, of all relations, of LeakyReLU(F)     (13)
        H_hat_i         = ||_k ELU(sum_j alpha_ij[k,r] W[k,r] H_j)                     (14)

    Args:
        modalities: M, slices of a node.
        width: F, of each slice, in and out; a multiple of `heads`.
        relations: R, types of edges; ids are 0..R-1.
        heads: K.
        bases: P, relations mix this many matrices (R-GCN); None gives each its own.
        layers: how often messages are passed, each time with its own parameters.
        attention: `per_modality` gives each slice its own coefficients; `shared` one
            coefficient per edge and head, from all slices concatenated as in Eq. 12.
        dropout: probability of dropping an attention coefficient in training.

    Raises:
        ParamsError: a size is not positive, or `heads` does not divide `width`.

    Reading of the paper:
        "Decouple" is possible only if slices stay apart, so W[k,r] is block-diagonal over
        modalities. The double bars of Eq. 14, printed as a product, concatenate heads. Sigma is
        LeakyReLU(0.2) in Eq. 13 and ELU in Eq. 14, as in GAT. N_i are the sources of the edges
        into i; self loops and inverse edges are ordinary relations that the caller adds. A
        node with no edge into it gets zeros, so that a residual around this module keeps it.
        With one modality, a[k,r] the same for all r, and no ELU, this is RGATConv
        (across-relation, additive) with block-diagonal q and k and no bias.
    """

    def __init__(
        self,
        modalities: int,
        width: int,
        relations: int,
        *,
        heads: int,
        bases: int | None,
        layers: int,
        attention: Attention,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = {
            "modalities": modalities,
            "width": width,
            "relations": relations,
            "heads": heads,
            "layers": layers,
        }
        sizes |= {} if bases is None else {"bases": bases}
        wrong = [f"{name}={size}" for name, size in sizes.items() if size < 1]
        if wrong:
            raise ParamsError(f"graph attention needs positive sizes, got {', '.join(wrong)}")
        if width % heads:
            raise ParamsError(
                f"graph.width must be a multiple of graph.heads, got width={width}, heads={heads}"
            )
        if attention not in get_args(Attention):
            raise ParamsError(f"graph.attention must be one of {get_args(Attention)}, got {attention!r}")
        self.modalities, self.width, self.relations = modalities, width, relations
        self.layers = nn.ModuleList(
            HeterogeneousGraphAttentionLayer(
                modalities, width, relations, heads=heads, bases=bases, attention=attention, dropout=dropout
            )
            for _ in range(layers)
        )

    def forward(
        self, nodes: Float[Tensor, "N M F"], edge_index: Int[Tensor, "2 E"], edge_type: Int[Tensor, "E"]
    ) -> Float[Tensor, "N M F"]:
        """Return enhanced nodes; `edge_index` holds sources, then targets, of messages.

        Raises:
            ScenegraphError: a shape does not fit the module, or a relation is unknown.
        """
        if nodes.shape[1:] != (self.modalities, self.width):
            expected = f"(nodes, {self.modalities}, {self.width})"
            raise ScenegraphError(f"nodes must have shape {expected}, got {tuple(nodes.shape)}")
        if edge_index.shape != (2, edge_type.numel()):
            expected = f"(2, {edge_type.numel()}), one column per entry of edge_type"
            raise ScenegraphError(f"edge_index must have shape {expected}, got {tuple(edge_index.shape)}")
        edges = group_by_relation(edge_index, edge_type, self.relations)
        for layer in self.layers:
            nodes = layer(nodes, edges)
        return nodes
