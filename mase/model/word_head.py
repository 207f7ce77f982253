"""From h* at a blank to words: the masked-word head that the language model was pre-trained with.

Hugging Face's own head is run, whatever the family's: it stands on a stand-in for the encoder that
hands on what it gets. Where the checkpoint has no such head (MiniLM) it is new: linear, GELU, LayerNorm,
a new bias, and in either case the output is tied to the word embeddings if the family ties it.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from mase.model.backbone import Backbone
from mase.model.loading import load_word_model


class _Handed(nn.Module):
    """Stand in for the encoder below the head: its output is what it is given."""

    def forward(
        self, input_ids: object = None, inputs_embeds: Tensor | None = None, **_: object
    ) -> BaseModelOutput:
        assert inputs_embeds is not None
        return BaseModelOutput(last_hidden_state=inputs_embeds)


class NewWordHead(nn.Module):
    """Linear, GELU, LayerNorm, the word embeddings and a bias, for a family that has no such head."""

    def __init__(self, width: int, words: nn.Embedding):
        super().__init__()
        self.transform = nn.Sequential(
            nn.Linear(width, words.embedding_dim), nn.GELU(), nn.LayerNorm(words.embedding_dim)
        )
        self.words = nn.Linear(words.embedding_dim, words.num_embeddings)
        self.words.weight = words.weight
        nn.init.zeros_(self.words.bias)

    def forward(self, features: Float[Tensor, "K W"]) -> Float[Tensor, "K V"]:
        """Return logits over the vocabulary."""
        return self.words(self.transform(features))


class PretrainedWordHead(nn.Module):
    """The head of a Hugging Face model for masked words, its output tied to the backbone's embeddings."""

    def __init__(self, model: Any, words: nn.Embedding):
        super().__init__()
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        setattr(model, model.base_model_prefix, _Handed())
        if tied:
            model.get_output_embeddings().weight = words.weight
        self.model = model

    def forward(self, features: Float[Tensor, "K W"]) -> Float[Tensor, "K V"]:
        """Return logits over the vocabulary."""
        return self.model(inputs_embeds=features.unsqueeze(0)).logits.squeeze(0)


class WordHead(nn.Module):
    """p(word | h) at a blank, of features (..., D).

    Args:
        width: D. Where it is not the backbone's, a linear layer brings it there; it starts by passing the
            first features on, which are the text's, so that training starts at the language model.
        backbone: whose word embeddings are the output.
    """

    def __init__(self, width: int, backbone: Backbone):
        super().__init__()
        words = backbone.words
        model = load_word_model(backbone.params, backbone.config, backbone.architecture)
        self.words: nn.Module = (
            NewWordHead(backbone.width, words) if model is None else PretrainedWordHead(model, words)
        )
        self.enter: nn.Module = nn.Identity()
        if width != backbone.width:
            self.enter = nn.Linear(width, backbone.width)
            nn.init.eye_(self.enter.weight)
            nn.init.zeros_(self.enter.bias)

    def forward(self, features: Float[Tensor, "*K D"]) -> Float[Tensor, "*K V"]:
        """Return logits over the vocabulary."""
        entered = self.enter(features)
        logits = self.words(entered.flatten(0, -2))
        return logits.unflatten(0, entered.shape[:-1])


def log_probabilities(logits: Float[Tensor, "K V"], ids: Tensor) -> Float[Tensor, "K *N"]:
    """Return log p of the words `ids` (K, N), or (K,), in nats."""
    chosen = logits.gather(1, ids.reshape(len(ids), -1)).reshape(ids.shape)
    total = torch.logsumexp(logits, dim=1)
    return chosen - total.reshape(-1, *[1] * (ids.ndim - 1))
