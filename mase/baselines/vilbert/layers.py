"""The layers of ViLBERT beside its language model: visual ones, and co-attention between the streams.

With v the regions' states, t the tokens', and Att(x, y) attention of x over y:

    visual layer     v <- F(LN(v + O Att(v, v)))
    co-attention     v' <- F(LN(v + O_v Att(v, t))),   t' <- F(LN(t + O_t Att(t, v)))

with F the feed-forward part, F(x) = LN(x + W_2 gelu(W_1 x)). The first region is the whole picture: the mean
of all features, in a box as large as the picture.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from mase.model.region_attention import RegionBatch
from mase.params.streams import VilbertParams

EPSILON = 1e-12  # of BERT's LayerNorm
PLACE = 5  # numbers of a box: x1, y1, x2, y2 and its area, as shares of the picture


class Projections(nn.Module):
    """Queries, keys and values of a stream."""

    def __init__(self, queries: int, keys: int, width: int):
        super().__init__()
        self.query = nn.Linear(queries, width)
        self.key, self.value = nn.Linear(keys, width), nn.Linear(keys, width)


def attend(
    asking: Projections,
    states: Float[Tensor, "B Q W"],
    asked: Projections,
    seen: Float[Tensor, "B K I"],
    mask: Bool[Tensor, "B K"],
    *,
    heads: int,
    dropout: float,
) -> Float[Tensor, "B Q J"]:
    """Return what states ask of those seen that the mask allows; every row has one.

    Args:
        asking: gives the queries, of the states.
        asked: gives the keys and values, of what is seen.
    """
    parts = (asking.query(states), asked.key(seen), asked.value(seen))
    split = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts]
    told = functional.scaled_dot_product_attention(*split, attn_mask=mask[:, None, None], dropout_p=dropout)
    return told.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """LN(x + W y)."""

    def __init__(self, inputs: int, width: int, dropout: float):
        super().__init__()
        self.dense, self.norm = nn.Linear(inputs, width), nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, added: Float[Tensor, "*B I"], states: Float[Tensor, "*B W"]) -> Float[Tensor, "*B W"]:
        """Return the states with `added`, y, in them."""
        return self.norm(states + self.dropout(self.dense(added)))


class FeedForward(nn.Module):
    """F of the module docstring."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.inner, self.outer = nn.Linear(width, hidden), Residual(hidden, width, dropout)

    def forward(self, states: Float[Tensor, "*B W"]) -> Float[Tensor, "*B W"]:
        """Return F(states)."""
        return self.outer(functional.gelu(self.inner(states)), states)


class Layer(nn.Module):
    """A transformer layer whose keys and values may be another stream's.

    Args:
        keys: width of what is attended to; by default, of the states themselves.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float, keys: int | None = None):
        super().__init__()
        self.attention = Projections(width, width if keys is None else keys, width)
        self.mixed, self.feed = Residual(width, width, dropout), FeedForward(width, hidden, dropout)
        self.heads, self.dropout = heads, dropout

    def forward(
        self, states: Float[Tensor, "B Q W"], seen: Float[Tensor, "B K I"], mask: Bool[Tensor, "B K"]
    ) -> Float[Tensor, "B Q W"]:
        """Return the states after they attended to what is seen."""
        part, rate = self.attention, self.dropout if self.training else 0.0
        told = attend(part, states, part, seen, mask, heads=self.heads, dropout=rate)
        return self.feed(self.mixed(told, states))


class CoAttention(nn.Module):
    """Co-attention of the module docstring; `text` is the tokens' width, `text_hidden` that inside F."""

    def __init__(self, params: VilbertParams, text: int, text_hidden: int):
        super().__init__()
        width, joint, dropout = params.width, params.joint, params.dropout
        self.visual, self.text = Projections(width, width, joint), Projections(text, text, joint)
        self.visual_mixed, self.text_mixed = Residual(joint, width, dropout), Residual(joint, text, dropout)
        self.visual_feed = FeedForward(width, params.hidden, dropout)
        self.text_feed = FeedForward(text, text_hidden, dropout)
        self.heads, self.dropout = params.joint_heads, dropout

    def forward(
        self,
        regions: Float[Tensor, "B K V"],
        region_mask: Bool[Tensor, "B K"],
        tokens: Float[Tensor, "B L W"],
        token_mask: Bool[Tensor, "B L"],
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B L W"]]:
        """Return both streams after each attended to the other."""
        heads, rate = self.heads, self.dropout if self.training else 0.0
        asked = attend(self.visual, regions, self.text, tokens, token_mask, heads=heads, dropout=rate)
        seen = attend(self.text, tokens, self.visual, regions, region_mask, heads=heads, dropout=rate)
        return (
            self.visual_feed(self.visual_mixed(asked, regions)),
            self.text_feed(self.text_mixed(seen, tokens)),
        )


class RegionEmbeddings(nn.Module):
    """LN(W f + U b) of a region's feature f and place b, the whole picture first."""

    def __init__(self, regions: int, width: int, dropout: float):
        super().__init__()
        self.feature, self.place = nn.Linear(regions, width), nn.Linear(PLACE, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=EPSILON), nn.Dropout(dropout)

    def forward(self, regions: RegionBatch) -> tuple[Float[Tensor, "B K1 V"], Bool[Tensor, "B K1"]]:
        """Return the first states, one more than regions, and which of them are real."""
        mask = regions.mask.unsqueeze(-1)
        features = regions.features.masked_fill(~mask, 0.0)
        whole = features.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        corners = regions.boxes
        area = (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])
        places = torch.cat([corners, area.unsqueeze(-1)], dim=-1)
        all_of_it = places.new_tensor([0.0, 0.0, 1.0, 1.0, 1.0]).expand(len(places), 1, PLACE)
        states = self.feature(torch.cat([whole, features], dim=1))
        states = states + self.place(torch.cat([all_of_it, places], dim=1))
        return self.dropout(self.norm(states)), functional.pad(regions.mask, (1, 0), value=True)
