"""What a decoder attends to: the text's token states, and beside them a soft prefix made of proxies.

The prefix is k slots s = sum over m != text of z_m P(h^m) / (1 - z_text), and its attention logits get
log((1 - z_text) / z_text) on top. So its share of a query's attention is

    share = sigmoid(log sum exp(prefix logits) + log((1 - z_text) / z_text) - log sum exp(text logits))

and z matters twice: for what is in the slots, and for how much they weigh.

Gates (`fusion.proxy_gate: zero`) scale what each modality gives to the slots' values, not to their keys:
with v the slots of g_m P(h^m) and g the mean gate (weights z_m / (1 - z_text)), a query gets

    text + share * (attention over v - g * text)

With all gates 1 this is plain softmax attention over both; with all gates 0 it is the text's own, bit for
bit, and the gates still learn, which a bias of log g = -infinity would not let them do.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True)
class Prefix:
    """A soft prefix of K slots.

    Attributes:
        keys, values: the slots by which it is found, and the gated ones that are read.
        gate: the mean gate g, with which a bias of the value projection is scaled as well.
        log_odds: log((1 - z_text) / z_text).
    """

    keys: Float[Tensor, "B K W"]
    values: Float[Tensor, "B K W"]
    gate: Float[Tensor, ""]
    log_odds: Float[Tensor, ""]


@dataclass(frozen=True)
class Memory:
    """What a batch's decoder attends to: token states, a prefix, or both.

    Attributes:
        states, mask: (B, L, W) and (B, L) the text; None for h^m alone.
        prefix: None for h^text alone.
    """

    states: Float[Tensor, "B L W"] | None
    mask: Bool[Tensor, "B L"] | None
    prefix: Prefix | None


@dataclass(frozen=True)
class ProjectedPrefix:
    """A prefix as one attention layer sees it; `gate` and `log_odds` are the prefix's."""

    key: Float[Tensor, "B H K E"]
    value: Float[Tensor, "B H K E"]
    gate: Float[Tensor, ""]
    log_odds: Float[Tensor, ""]

    def of(self, rows: Tensor) -> "ProjectedPrefix":
        """Return the prefix of some rows, or of rows repeated, by their indices."""
        return ProjectedPrefix(self.key[rows], self.value[rows], self.gate, self.log_odds)


@dataclass(frozen=True)
class ProjectedText:
    """A text as one attention layer sees it; the bias hides padding."""

    key: Float[Tensor, "B H L E"]
    value: Float[Tensor, "B H L E"]
    bias: Float[Tensor, "B 1 1 L"]

    def of(self, rows: Tensor) -> "ProjectedText":
        """Return the text of some rows, or of rows repeated, by their indices."""
        return ProjectedText(self.key[rows], self.value[rows], self.bias[rows])


@dataclass(frozen=True)
class Projected:
    """A memory as one attention layer sees it, H heads of width E; one part at least is there."""

    text: ProjectedText | None
    prefix: ProjectedPrefix | None

    def of(self, rows: Tensor) -> "Projected":
        """Return the memory of some rows, or of rows repeated, by their indices."""
        text, prefix = self.text, self.prefix
        return Projected(None if text is None else text.of(rows), None if prefix is None else prefix.of(rows))


def project(memory: Memory, key: torch.nn.Linear, value: torch.nn.Linear, heads: int) -> Projected:
    """Return the keys and values that a layer's projections make of a memory."""
    text = prefix = None
    if memory.states is not None and memory.mask is not None:
        bias = torch.zeros(memory.mask.shape, device=memory.mask.device).masked_fill(~memory.mask, LOWEST)
        keys, values = (split_heads(part(memory.states), heads) for part in (key, value))
        text = ProjectedText(keys, values, bias[:, None, None, :])
    if memory.prefix is not None:
        found = memory.prefix
        # The value projection without its bias, which is as much of the prefix as the gates let in.
        read = value(found.values) - (0.0 if value.bias is None else (1.0 - found.gate) * value.bias)
        keys, values = split_heads(key(found.keys), heads), split_heads(read, heads)
        prefix = ProjectedPrefix(keys, values, found.gate, found.log_odds)
    return Projected(text, prefix)


def attend(
    query: Float[Tensor, "B H T E"], memory: Projected, scaling: float, dropout: float = 0.0
) -> Float[Tensor, "B H T E"]:
    """Return what the queries read from a memory; see the module's docstring.

    Dropout is of the attention to the text only, so that a prefix changes no random draw.
    """
    text, prefix = memory.text, memory.prefix
    if text is None:
        assert prefix is not None
        return (query @ prefix.key.transpose(-1, -2) * scaling).softmax(-1) @ prefix.value
    logits = query @ text.key.transpose(-1, -2) * scaling + text.bias  # (B, H, T, L)
    read = functional.dropout(logits.softmax(-1), dropout, dropout > 0) @ text.value
    if prefix is None:
        return read
    beside = query @ prefix.key.transpose(-1, -2) * scaling  # (B, H, T, K)
    odds = beside.logsumexp(-1, keepdim=True) + prefix.log_odds - logits.logsumexp(-1, keepdim=True)
    return read + odds.sigmoid() * (beside.softmax(-1) @ prefix.value - prefix.gate * read)


def split_heads(states: Float[Tensor, "B T W"], heads: int) -> Float[Tensor, "B H T E"]:
    """Return the states of each head."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(states: Float[Tensor, "B H T E"]) -> Float[Tensor, "B T W"]:
    """Undo `split_heads`."""
    return states.transpose(1, 2).flatten(-2)
