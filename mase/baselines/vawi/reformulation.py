"""What VAWI adds to a language model: the position-aware attention, the learned selector, the insertion."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel


class Reformulation(nn.Module):
    """softmax(Q K^T / sqrt(E)) V of the package's docstring.

    Args:
        features: d, width of the tower's vectors.
        width: E, width of the backbone's input embeddings.
        deviation: of the backbone's word embeddings, which the values start at.
    """

    def __init__(self, features: int, width: int, deviation: float):
        super().__init__()
        self.key, self.value = nn.Linear(features, width), nn.Linear(features, width)
        nn.init.normal_(self.value.weight, std=deviation * features**-0.5)
        nn.init.zeros_(self.value.bias)

    def forward(
        self,
        positions: Float[Tensor, "B S E"],
        features: Float[Tensor, "B S d"],
        present: Bool[Tensor, "B S"],
    ) -> Float[Tensor, "B S E"]:
        """Return a vector for each word, a mixture of those present; zeros for words that are not."""
        scores = positions @ self.key(features).transpose(1, 2) * positions.shape[-1] ** -0.5
        lowest = torch.finfo(scores.dtype).min  # not -inf: a row may have no word at all
        weights = scores.masked_fill(~present[:, None], lowest).softmax(-1)
        return weights @ self.value(features) * present.unsqueeze(-1)


class LearnedSelector(nn.Module):
    """Score the words of each text, and choose the best; Gumbel-softmax (Jang et al. 2017).

    Args:
        width: of the token states.
        words: k, how many are chosen of a text.
        temperature: of the softmax.
    """

    def __init__(self, width: int, words: int, temperature: float):
        super().__init__()
        self.words, self.temperature = words, temperature
        self.score = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, states: Float[Tensor, "B S W"], sentence: Int[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        """Return 1 for the words chosen, with the softmax's gradient, and 0 for the rest."""
        scores = self.score(states).squeeze(-1)
        if self.training:
            scores = scores - torch.empty_like(scores).exponential_().clamp_min(1e-20).log()  # Gumbel noise
        gates = torch.zeros_like(scores)
        for text in (0, 1):
            gates = gates + self._choose(scores / self.temperature, sentence == text)
        return gates

    def _choose(self, scores: Float[Tensor, "B S"], own: Bool[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        masked = scores.masked_fill(~own, torch.finfo(scores.dtype).min)
        rank = masked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        chosen = (own & (rank < self.words)).to(scores.dtype)
        soft = masked.softmax(1)
        return chosen * (1 + soft - soft.detach())


class WordPositions(nn.Module):
    """The query of a position: the backbone's table of positions, sinusoids where it has none.

    Args:
        encoder: the backbone, whose table is shared, not copied.
        width: E, width of its input embeddings.
    """

    def __init__(self, encoder: PreTrainedModel, width: int):
        super().__init__()
        self.width, self.table = width, [position_table(encoder)]  # in a list: it is the backbone's parameter

    def forward(self, positions: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        """Return the embeddings of positions, counted from 0."""
        (table,) = self.table
        if table is not None:
            return table(positions + first_position(table))
        rates = 10_000 ** -(torch.arange(0, self.width, 2, device=positions.device) / self.width)
        angles = positions.unsqueeze(-1) * rates
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[..., : self.width]


def position_table(encoder: PreTrainedModel) -> nn.Embedding | None:
    """Return an encoder's table of absolute positions, if it has one."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    return table if isinstance(table, nn.Embedding) else None


def first_position(table: nn.Embedding) -> int:
    """Return the row of a table that stands for the first token: RoBERTa's begins after its padding row."""
    return 0 if table.padding_idx is None else table.padding_idx + 1


def insert(
    embedded: Float[Tensor, "B L E"],
    mask: Bool[Tensor, "B L"],
    types: Int[Tensor, "B L"],
    vectors: Float[Tensor, "B S E"],
    column: Int[Tensor, "B S"],
    present: Bool[Tensor, "B S"],
) -> tuple[Float[Tensor, "B K E"], Bool[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Return embeddings, mask and types with each vector that is present right after its column.

    Padding stays on its side, K is the longest row; a vector has the segment type of its column.
    """
    length, left = embedded.shape[1], not bool(mask[:, 0].all())
    outside = -1 if left else length
    tokens = torch.arange(length, device=mask.device).expand_as(mask).masked_fill(~mask, outside)
    order = torch.cat([tokens, column.masked_fill(~present, outside)], 1).argsort(dim=1, stable=True)
    longest = int((mask.sum(1) + present.sum(1)).max())
    order = order[:, -longest:] if left else order[:, :longest]
    whole = torch.cat([embedded, vectors.to(embedded.dtype)], 1)
    whole = whole.gather(1, order.unsqueeze(-1).expand(-1, -1, whole.shape[-1]))
    kinds = torch.cat([types, types.gather(1, column)], 1).gather(1, order)
    return whole, torch.cat([mask, present], 1).gather(1, order), kinds
