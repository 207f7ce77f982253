"""The pre-trained language model: a forward pass, pooling, frozen lower layers, adapters.

h^text of Section 3.1 is the pooled last state. Any Hugging Face encoder (or the encoder
of an encoder-decoder) fits; what differs between families, namely pooling and padding
side, is in `params/backbones/*.yaml` and in the tokenizer. `mase.model.loading` reads the
files, `mase.model.cutting` knows where a family keeps its layers, `mase.model.adapters`
what trains instead of the weights.

Only the backbone, and only while it trains, runs under autocast (`Backbone.autocast`); what comes
after, and all that E-step and evaluation ask, is float32.

With `freeze_layers: k` the model is cut into a lower part (embeddings and k layers,
frozen, in evaluation mode) whose output can be computed once per row, and an upper part
that trains.
"""

import inspect
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from mase.errors import ParamsError
from mase.model.adapters import SoftPrompt, add_lora
from mase.model.cutting import cut
from mase.model.loading import TOKENIZER_PACKAGE, load_encoder, load_tokenizer, package_folder
from mase.params import BackboneParams

__all__ = ["TOKENIZER_PACKAGE", "Backbone", "load_tokenizer", "package_folder", "pool"]


class Backbone(nn.Module):
    """A Hugging Face encoder with pooling; see the module docstring for frozen layers.

    Args:
        params: which model, its pooling, how many layers are frozen, its adapter.
        architecture: folder of a saved config; the weights are then left random, to be loaded.

    Raises:
        MissingWeightsError, CheckpointFormatError: see `load_encoder`.
        ParamsError: if `freeze_layers`, `adapter` or `max_length` do not fit the model.
    """

    def __init__(self, params: BackboneParams, architecture: Path | None = None):
        super().__init__()
        self.params, self.architecture = params, architecture
        self.autocast: torch.dtype | None = None
        encoder = load_encoder(params, architecture)
        _check_length(encoder, params)
        self.config = encoder.config
        self.width = int(encoder.config.hidden_size)
        self.has_types = _has_types(encoder)
        self.lower: PreTrainedModel | None = None
        self.prompt: SoftPrompt | None = None
        if params.freeze_layers:
            self.lower, encoder = cut(encoder, params.freeze_layers)
        if params.adapter == "lora":
            add_lora(encoder, params)
        if params.adapter == "prompt":
            encoder.requires_grad_(False)
            self.prompt = SoftPrompt(_words(encoder), params.prompt_tokens)
        self.encoder = encoder

    def train(self, mode: bool = True) -> "Backbone":
        """Switch the upper part only: the frozen part never drops out, so it can be cached."""
        super().train(mode)
        if self.lower is not None:
            self.lower.eval()
        return self

    @property
    def words(self) -> nn.Embedding:
        """Return the word embeddings, which are in the frozen part where there is one."""
        return _words(self.encoder if self.lower is None else self.lower)

    @torch.no_grad()
    def frozen_states(
        self, ids: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"], types: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B L W"]:
        """Return the frozen part's output in float32, a constant of the row: no autocast, cached or not."""
        assert self.lower is not None
        with torch.autocast(ids.device.type, enabled=False):
            return self._call(self.lower, mask, types, input_ids=ids)

    def forward(
        self,
        ids: Int[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        types: Int[Tensor, "B L"],
        frozen: Float[Tensor, "B L W"] | None = None,
    ) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return token states and the pooled state h^text.

        `frozen` is the cached output of `frozen_states`, if there is one.
        """
        with torch.autocast(
            ids.device.type, self.autocast, enabled=self.training and self.autocast is not None
        ):
            if self.lower is not None:
                lower = self.frozen_states(ids, mask, types) if frozen is None else frozen
                states = self._call(self.encoder, mask, types, inputs_embeds=lower)
            elif self.prompt is not None:
                embedded, longer, kinds = self.prompt(_words(self.encoder)(ids), mask, types)
                states = self._call(self.encoder, longer, kinds, inputs_embeds=embedded)
                states = states[:, self.prompt.tokens :]
            else:
                states = self._call(self.encoder, mask, types, input_ids=ids)
        states = states.float()
        return states, pool(states, mask, self.params.pooling)

    def read_embedded(
        self, embedded: Float[Tensor, "B L E"], mask: Bool[Tensor, "B L"], types: Int[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return what `forward` does, of rows of input embeddings; for a backbone without frozen layers."""
        assert self.lower is None and self.prompt is None
        with torch.autocast(
            embedded.device.type, self.autocast, enabled=self.training and self.autocast is not None
        ):
            states = self._call(self.encoder, mask, types, inputs_embeds=embedded)
        states = states.float()
        return states, pool(states, mask, self.params.pooling)

    def _call(self, model: PreTrainedModel, mask: Tensor, types: Tensor, **inputs: Tensor) -> Tensor:
        if self.has_types:
            inputs["token_type_ids"] = types
        return model(attention_mask=mask.long(), **inputs).last_hidden_state


def _words(encoder: PreTrainedModel) -> nn.Embedding:
    words = encoder.get_input_embeddings()
    assert isinstance(words, nn.Embedding)
    return words


def _has_types(encoder: PreTrainedModel) -> bool:
    """Return whether segment types mean something to the model: XLNet has no table, yet compares them."""
    takes = "token_type_ids" in inspect.signature(encoder.forward).parameters
    return takes and getattr(encoder.config, "type_vocab_size", 2) > 1


def _check_length(encoder: PreTrainedModel, params: BackboneParams) -> None:
    """Refuse rows longer than the model's table of absolute positions, if it has one."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, nn.Embedding):
        return
    positions = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    prompt = params.prompt_tokens if params.adapter == "prompt" else 0
    if params.max_length + prompt > positions:
        added = f" and {prompt} tokens of the prompt" if prompt else ""
        raise ParamsError(
            f"backbone.max_length: {params.max_length}{added}, but the model has {positions} positions"
        )


def pool(states: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"], pooling: str) -> Float[Tensor, "B W"]:
    """Return one state per row: the first, the last real, or the mean of the real ones.

    `last` works with padding on either side (XLNet pads on the left).
    """
    if pooling == "first":
        position = mask.int().argmax(dim=1)
        return states[torch.arange(len(states)), position]
    if pooling == "last":
        steps = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        position = (mask * steps).argmax(dim=1)
        return states[torch.arange(len(states)), position]
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp_min(1.0)
