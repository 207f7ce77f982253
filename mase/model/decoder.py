"""Decoders that write a sentence, token by token, from a memory (`mase.model.memory`).

The weights and their modules are Hugging Face's, the forward pass is here, since theirs has no place for a
prefix whose share of the attention depends on z. Without a prefix it gives their numbers (tested).

- `T5Decoder`: the decoder of the checkpoint, embeddings shared with the encoder as there.
- `BertDecoder`: for a backbone of BERT's kind, which has none. Its embeddings and layers are copies of
  the backbone's embeddings and lowest layers, the cross-attention is new, the output embeddings are the
  input's (Rothe et al. 2020). The lowest layers, because what these are used to are embeddings, and because
  their output is still near the words.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mase.errors import ParamsError
from mase.families.generation import PADDED
from mase.model.memory import LOWEST, Memory, Projected, attend, join_heads, project, split_heads


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int, int]:
    """Return what a sentence starts with, ends with and is padded with.

    [CLS] and [SEP] or their like where the tokenizer has them; else padding starts and </s> ends, as in T5.

    Raises:
        ParamsError: if the tokenizer lacks one of them.
    """
    pad = tokenizer.pad_token_id
    start = pad if tokenizer.cls_token_id is None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(pad, int)):
        raise ParamsError("generation needs a tokenizer that has an end of sentence and padding")
    return start, end, pad


@dataclass
class Written:
    """What is kept of the tokens so far, so that the next one costs one step.

    Attributes:
        memory: per layer, what it attends to.
        past: per layer, keys and values of the tokens so far.
        length: how many there are.
    """

    memory: list[Projected]
    past: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    length: int = 0

    def repeated(self, rows: Int[Tensor, "N"]) -> "Written":
        """Return a state before the first token for some rows, each as often as it is named."""
        return Written([layer.of(rows) for layer in self.memory])

    def reorder(self, rows: Int[Tensor, "B"]) -> None:
        """Go on from other tokens: those of the rows `rows`, which attend to the same memory."""
        self.past = [(key[rows], value[rows]) for key, value in self.past]


class Decoder(nn.Module, ABC):
    """Next-token logits, given the tokens so far and a memory."""

    special: Tensor

    def __init__(self, special: tuple[int, int, int]):
        super().__init__()
        self.register_buffer("special", torch.tensor(special))

    @abstractmethod
    def begin(self, memory: Memory) -> Written:
        """Return the state before the first token."""

    @abstractmethod
    def states(self, ids: Int[Tensor, "B T"], written: Written) -> Float[Tensor, "B T W"]:
        """Return the last states of the next tokens, and add these to `written`."""

    @abstractmethod
    def logits(self, states: Float[Tensor, "*N W"]) -> Float[Tensor, "*N V"]:
        """Return the logits of the token after each state."""

    def step(self, ids: Int[Tensor, "B T"], written: Written) -> Float[Tensor, "B T V"]:
        """Return the logits after each of the next tokens, and add these to `written`."""
        return self.logits(self.states(ids, written))

    def forward(self, ids: Int[Tensor, "B T"], memory: Memory) -> Float[Tensor, "B T V"]:
        """Return the logits after each token of whole sentences, the start token first."""
        return self.step(ids, self.begin(memory))

    def teacher_forced(self, labels: Int[Tensor, "B T"], memory: Memory) -> Float[Tensor, "B T V"]:
        """Return the logits of each target token given those before it; `labels` are padded with -100."""
        return self(self._given(labels), memory)

    def log_probabilities(self, labels: Int[Tensor, "B T"], memory: Memory) -> Float[Tensor, "B T"]:
        """Return log p of each target token given those before it; 0 where there is none.

        The vocabulary is the dear part, so padding is left out of it.
        """
        there = labels != PADDED
        states = self.states(self._given(labels), self.begin(memory))
        found = functional.cross_entropy(self.logits(states[there]).float(), labels[there], reduction="none")
        return found.new_zeros(labels.shape).masked_scatter(there, -found)

    def _given(self, labels: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Return the token before each target token, the start token first."""
        start, _, pad = self.special
        known = torch.where(labels == PADDED, pad, labels)
        return torch.cat([start.expand(len(labels), 1), known[:, :-1]], dim=1)

    def _remember(
        self, written: Written, layer: int, key: Tensor, value: Tensor
    ) -> tuple[Float[Tensor, "B H T E"], Float[Tensor, "B H T E"]]:
        """Return keys and values of all tokens, and keep them."""
        if len(written.past) == layer:
            written.past.append((key, value))
        else:
            before = written.past[layer]
            written.past[layer] = (torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2))
        return written.past[layer]


def _causal(new: int, before: int, device: torch.device) -> Float[Tensor, "T S"]:
    """Return the bias that hides later tokens from the `new` ones after `before` others."""
    later = torch.ones(new, before + new, dtype=torch.bool, device=device).triu(before + 1)
    return torch.zeros(later.shape, device=device).masked_fill(later, LOWEST)


def _self_attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scaling: float, dropout: float
) -> Float[Tensor, "B H T E"]:
    shares = (query @ key.transpose(-1, -2) * scaling + bias).softmax(-1)
    return functional.dropout(shares, dropout, dropout > 0) @ value


class BertDecoder(Decoder):
    """A decoder of BERT's layers with new cross-attention.

    Args:
        model: a Hugging Face model of BERT's kind with `is_decoder` and `add_cross_attention`.
        special: see `special_ids`.
    """

    def __init__(self, model: Any, special: tuple[int, int, int]):
        super().__init__(special)
        config = model.config
        self.heads, self.dropout = config.num_attention_heads, config.attention_probs_dropout_prob
        self.scaling = (config.hidden_size // self.heads) ** -0.5
        self.embeddings, self.layers = model.embeddings, model.encoder.layer
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        padding = self.embeddings.position_embeddings.padding_idx  # RoBERTa counts positions from behind it
        self.first_position = 0 if padding is None else padding + 1

    def begin(self, memory: Memory) -> Written:
        """Return the state before the first token."""
        crossed = (layer.crossattention.self for layer in self.layers)
        return Written([project(memory, cross.key, cross.value, self.heads) for cross in crossed])

    def states(self, ids: Int[Tensor, "B T"], written: Written) -> Float[Tensor, "B T W"]:
        """Return the last states of the next tokens, and add these to `written`."""
        new, before = ids.shape[1], written.length
        places = torch.arange(before, before + new, device=ids.device) + self.first_position
        states = self.embeddings(input_ids=ids, position_ids=places.expand_as(ids))
        bias = _causal(new, before, ids.device)
        for number, layer in enumerate(self.layers):
            states = self._layer(number, layer, states, written, bias)
        written.length += new
        return states

    def logits(self, states: Float[Tensor, "*N W"]) -> Float[Tensor, "*N V"]:
        """Return the logits of the token after each state."""
        return functional.linear(states, self.embeddings.word_embeddings.weight, self.bias)

    def _layer(self, number: int, layer: Any, states: Tensor, written: Written, bias: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        own, cross = layer.attention, layer.crossattention
        query, key, value = (
            split_heads(part(states), self.heads) for part in (own.self.query, own.self.key, own.self.value)
        )
        keys, values = self._remember(written, number, key, value)
        read = _self_attend(query, keys, values, bias, self.scaling, dropout)
        states = own.output(join_heads(read), states)
        query = split_heads(cross.self.query(states), self.heads)
        read = attend(query, written.memory[number], self.scaling, dropout)
        states = cross.output(join_heads(read), states)
        return layer.output(layer.intermediate(states), states)


class T5Decoder(Decoder):
    """The decoder of a T5 checkpoint.

    Args:
        model: Hugging Face's T5 for conditional generation.
        embeddings: of the encoder that it goes with, which the decoder shares.
        special: see `special_ids`.
    """

    def __init__(self, model: Any, embeddings: nn.Module, special: tuple[int, int, int]):
        super().__init__(special)
        config = model.config
        self.heads, self.dropout = config.num_heads, config.dropout_rate
        self.stack = model.decoder
        self.stack.set_input_embeddings(embeddings)
        tied = config.tie_word_embeddings
        self.lm_head = None if tied else model.lm_head
        scaled = getattr(config, "scale_decoder_outputs", tied)
        self.scale = config.d_model**-0.5 if scaled else 1.0

    def begin(self, memory: Memory) -> Written:
        """Return the state before the first token."""
        crossed = (block.layer[1].EncDecAttention for block in self.stack.block)
        return Written([project(memory, cross.k, cross.v, self.heads) for cross in crossed])

    def states(self, ids: Int[Tensor, "B T"], written: Written) -> Float[Tensor, "B T W"]:
        """Return the last states of the next tokens, and add these to `written`."""
        new, before = ids.shape[1], written.length
        states = self.stack.dropout(self.stack.embed_tokens(ids))
        distances = self.stack.block[0].layer[0].SelfAttention.compute_bias(before + new, before + new)
        bias = distances[:, :, before:] + _causal(new, before, ids.device)
        for number, block in enumerate(self.stack.block):
            states = self._layer(number, block.layer, states, written, bias)
        written.length += new
        return self.stack.dropout(self.stack.final_layer_norm(states)) * self.scale

    def logits(self, states: Float[Tensor, "*N W"]) -> Float[Tensor, "*N V"]:
        """Return the logits of the token after each state."""
        head = self.stack.embed_tokens if self.lm_head is None else self.lm_head
        return functional.linear(states, head.weight)

    def _layer(self, number: int, parts: Any, states: Tensor, written: Written, bias: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        own, cross = parts[0].SelfAttention, parts[1].EncDecAttention
        normed = parts[0].layer_norm(states)
        query, key, value = (split_heads(part(normed), self.heads) for part in (own.q, own.k, own.v))
        keys, values = self._remember(written, number, key, value)
        read = _self_attend(query, keys, values, bias, 1.0, dropout)
        states = states + parts[0].dropout(own.o(join_heads(read)))
        query = split_heads(cross.q(parts[1].layer_norm(states)), self.heads)
        read = attend(query, written.memory[number], 1.0, dropout)
        states = states + parts[1].dropout(cross.o(join_heads(read)))
        return parts[2](states)
