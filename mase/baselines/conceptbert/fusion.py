"""Compact trilinear interaction (Do et al. 2019): one attention over triples of region, word and concept.

With v_i, q_j, k_l the three streams, each brought to `width` numbers, and slices r of width / rank numbers:

    a_g(i, j, l) = sum_r sum_xyz C[r, x, y, z, g] (V_r v_i)_x (Q_r q_j)_y (K_r k_l)_z
    w_g          = softmax of a_g over all triples that are real
    z_g          = sum_ijl w_g(i, j, l) (V'_g v_i) * (Q'_g q_j) * (K'_g k_l)

and the answer is read from the glimpses z_1, ..., z_G side by side.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mase.params.streams import ConceptbertParams

Stream = tuple[Float[Tensor, "B N W"], Bool[Tensor, "B N"]]  # states and which of them are real
DROPOUT = (0.5, 0.2, 0.2)  # of regions, words, concepts


def _to(inputs: int, width: int, dropout: float) -> nn.Sequential:
    linear = weight_norm(nn.Linear(inputs, width), dim=None)  # type: ignore[arg-type]
    return nn.Sequential(nn.Dropout(dropout), linear, nn.ReLU())


class TrilinearFusion(nn.Module):
    """See the module docstring; the order of regions, words and concepts does not count.

    Args:
        widths: of a region's, a word's and a concept's state.
    """

    def __init__(self, params: ConceptbertParams, widths: tuple[int, int, int]):
        super().__init__()
        width, rank, glimpses = params.width, params.rank, params.glimpses
        slice_width = width // rank
        self.rank, self.glimpses = rank, glimpses
        sized = list(zip(widths, DROPOUT, strict=True))
        self.attention = nn.ModuleList(_to(inputs, width, rate) for inputs, rate in sized)
        self.slices = nn.ModuleList(_to(width, width, rate) for rate in DROPOUT)
        self.joint = nn.ModuleList(_to(inputs, glimpses * width, rate) for inputs, rate in sized)
        core = torch.randn(rank, slice_width, slice_width, slice_width, glimpses)
        self.core = nn.Parameter(core / slice_width**1.5)

    def weights(self, streams: tuple[Stream, Stream, Stream]) -> Float[Tensor, "B I J L G"]:
        """Return w_g, which sums to 1 over all triples."""
        v, q, k = (
            part(whole(states)).unflatten(-1, (self.rank, -1))
            for part, whole, (states, _) in zip(self.slices, self.attention, streams, strict=True)
        )
        scores = torch.einsum("njry,rxyzg->njrxzg", q, self.core)
        scores = torch.einsum("njrxzg,nlrz->njlrxg", scores, k)
        scores = torch.einsum("njlrxg,nirx->nijlg", scores, v)
        (_, mv), (_, mq), (_, mk) = streams
        real = mv[:, :, None, None] & mq[:, None, :, None] & mk[:, None, None, :]
        scores = scores.masked_fill(~real.unsqueeze(-1), -torch.inf)
        return scores.flatten(1, 3).softmax(1).view_as(scores)

    def forward(self, regions: Stream, words: Stream, concepts: Stream) -> Float[Tensor, "B GH"]:
        """Return z_1, ..., z_G side by side."""
        streams = (regions, words, concepts)
        weights = self.weights(streams)
        v, q, k = (
            to(states).unflatten(-1, (self.glimpses, -1))
            for to, (states, _) in zip(self.joint, streams, strict=True)
        )
        found = torch.einsum("nijlg,nigh->njlgh", weights, v)
        found = torch.einsum("njlgh,nlgh->njgh", found, k)
        return torch.einsum("njgh,njgh->ngh", found, q).flatten(1)
