"""An encoder cut in two: frozen lower layers whose output can be kept, and layers that train.

Both parts run Hugging Face's own forward, so the cut must leave out of each part what happens
only once: before the first layer (embeddings and their projection), beside it (DeBERTa's
convolution), after the last one (ModernBERT's final norm). What that is differs between
families; one that is not known here is refused, since a wrong cut still gives numbers.
"""

import copy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from mase.errors import ParamsError


@dataclass(frozen=True)
class Layout:
    """Where a family keeps its layers.

    Attributes:
        stack: path of the module that runs them; empty for the model itself.
        layers: name of the list of layers in it.
        first: modules of the model that run before the first layer, beside `embeddings`.
        beside_first: modules of the stack that run with its first layer only.
        last: modules of the model that run after the last layer.
    """

    stack: str
    layers: str
    first: tuple[str, ...] = ()
    beside_first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


BERT = Layout("encoder", "layer")
LAYOUTS = {
    "bert": BERT,
    "roberta": BERT,
    "xlm-roberta": BERT,
    "camembert": BERT,
    "electra": Layout("encoder", "layer", first=("embeddings_project",)),
    "distilbert": Layout("transformer", "layer"),
    # Its relative position embeddings are used by every layer: shared by both parts, and frozen.
    "deberta-v2": Layout("encoder", "layer", beside_first=("conv",)),
    "modernbert": Layout("", "layers", last=("final_norm",)),
}
UNCUTTABLE = {
    "albert": "all its layers are one and the same",
    "t5": "its first block holds the position bias of all others",
    "xlnet": "its embeddings are not a part of their own",
}


class _Passthrough(nn.Module):
    """Stand in for the embeddings of the upper part: its input already is their output."""

    def forward(
        self, input_ids: object = None, inputs_embeds: Tensor | None = None, *_: object, **__: object
    ) -> Tensor | None:
        return inputs_embeds


def cut(encoder: PreTrainedModel, count: int) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return the embeddings with `count` layers, frozen and in evaluation mode, and the rest.

    The rest takes the output of the lower part as `inputs_embeds`. It is `encoder` itself, changed.

    Raises:
        ParamsError: if the family cannot be cut, or has no more than `count` layers.
    """
    layout = _layout(encoder.config.model_type)
    layers = list(encoder.get_submodule(layout.stack).get_submodule(layout.layers).children())
    if count >= len(layers):
        raise ParamsError(f"backbone.freeze_layers: {count}, but the model has {len(layers)} layers")
    lower = _shallow_copy(encoder)
    if layout.stack:
        lower.register_module(layout.stack, _shallow_copy(encoder.get_submodule(layout.stack)))
    _keep(lower, layout, layers[:count], dropped=(), replaced=layout.last)
    lower.requires_grad_(False).eval()
    _keep(encoder, layout, layers[count:], dropped=layout.first, replaced=())
    for name in layout.beside_first:
        encoder.get_submodule(layout.stack).register_module(name, None)
    encoder.register_module("embeddings", _Passthrough())
    return lower, encoder


def _layout(family: str) -> Layout:
    if family in LAYOUTS:
        return LAYOUTS[family]
    reason = UNCUTTABLE.get(family, "how to cut it is not known")
    raise ParamsError(
        f"backbone.freeze_layers: not supported for model type {family!r} ({reason}); set it to 0. "
        f"Supported: {', '.join(LAYOUTS)}"
    )


def _keep(
    part: PreTrainedModel,
    layout: Layout,
    layers: list[nn.Module],
    dropped: tuple[str, ...],
    replaced: tuple[str, ...],
) -> None:
    """Leave a part only its layers, without the modules of the other part."""
    part.get_submodule(layout.stack).register_module(layout.layers, nn.ModuleList(layers))
    for name in dropped:
        part._modules.pop(name, None)  # the models ask with hasattr whether there is one
    for name in replaced:
        part.register_module(name, nn.Identity())


def _shallow_copy(module: Any) -> Any:
    """Return a module that shares parameters and children, but not the table of children."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    return copied
