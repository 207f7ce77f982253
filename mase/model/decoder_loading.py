"""Which decoder goes with a backbone, and where its first weights come from.

T5: the checkpoint's own. BERT and its kin: copies of the backbone's embeddings and lowest layers. Any other
family is refused: its layers are not the decoder's.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSeq2SeqLM

from mase.errors import CheckpointFormatError, ParamsError
from mase.model.adapters import add_lora
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.decoder import BertDecoder, Decoder, T5Decoder, special_ids
from mase.model.loading import checkpoint_of
from mase.params import BackboneParams, GenerationParams

OWN_DECODER = ("t5",)
LIKE_BERT = ("bert", "roberta", "xlm-roberta", "camembert")
ADAPTED = ("lora_A", "lora_B")


def has_own_decoder(backbone: Backbone) -> bool:
    """Return whether the backbone's checkpoint brings a pre-trained decoder."""
    return backbone.config.model_type in OWN_DECODER


def build_decoder(
    backbone_params: BackboneParams, params: GenerationParams, backbone: Backbone, *, loaded_later: bool
) -> Decoder:
    """Return the decoder that goes with a backbone.

    Args:
        loaded_later: all weights will be loaded into the model, so none are read here.

    Raises:
        ParamsError: if the backbone's family has no decoder here, or `generation` does not fit it.
        CheckpointFormatError: if a T5 checkpoint lacks weights of the decoder.
    """
    family = backbone.config.model_type
    if family not in OWN_DECODER + LIKE_BERT:
        known = ", ".join(OWN_DECODER + LIKE_BERT)
        raise ParamsError(
            f"backbone {backbone_params.name}: no decoder goes with {family!r}; there is: {known}"
        )
    special = (0, 0, 0) if loaded_later else special_ids(load_tokenizer(backbone_params))
    if has_own_decoder(backbone):
        read = not loaded_later and backbone_params.source != "random"
        model = _load_seq2seq(backbone_params) if read else _fresh_seq2seq(backbone)
        return _adapted(T5Decoder(model, backbone.encoder.get_input_embeddings(), special), backbone_params)
    model = _fresh_decoder(backbone, params)
    if not loaded_later:
        _copy_layers(model, backbone)
    return BertDecoder(model, special)


def _fresh_seq2seq(backbone: Backbone) -> Any:
    config = copy.deepcopy(backbone.config)
    config.is_encoder_decoder = True
    return AutoModelForSeq2SeqLM.from_config(config)


def _load_seq2seq(params: BackboneParams) -> Any:
    """Read the encoder-decoder of a checkpoint whose encoder has been read already."""
    location, options = checkpoint_of(params)
    found: Any = AutoModelForSeq2SeqLM.from_pretrained(
        location, **options, dtype=torch.float32, output_loading_info=True
    )
    model, report = found
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("encoder."))
    if missing:
        raise CheckpointFormatError(
            f"backbone {params.name}: the checkpoint {params.ref} lacks {len(missing)} weights of its "
            f"decoder, the first of them {missing[0]}"
        )
    return model


def _adapted(decoder: T5Decoder, params: BackboneParams) -> T5Decoder:
    """Freeze a pre-trained decoder where the backbone is, with LoRA in its layers where that has it."""
    if params.adapter == "lora":
        add_lora(decoder.stack, params)
    if params.adapter != "none":
        for name, parameter in decoder.named_parameters():
            parameter.requires_grad_(any(part in ADAPTED for part in name.split(".")))
    return decoder


def _fresh_decoder(backbone: Backbone, params: GenerationParams) -> Any:
    config = copy.deepcopy(backbone.config)
    layers, positions = config.num_hidden_layers, config.max_position_embeddings
    if params.decoder_layers > layers:
        raise ParamsError(
            f"generation.decoder_layers: {params.decoder_layers}, but the backbone has {layers} to copy"
        )
    offset = config.pad_token_id + 1 if config.model_type != "bert" else 0
    if params.max_target_length + offset > positions:
        raise ParamsError(
            f"generation.max_target_length: {params.max_target_length}, but the backbone has "
            f"{positions - offset} positions"
        )
    config.is_decoder = config.add_cross_attention = True
    config.num_hidden_layers = params.decoder_layers
    return AutoModel.from_config(config)


def _copy_layers(model: Any, backbone: Backbone) -> None:
    """Copy the backbone's embeddings and lowest layers, of which a part may be frozen, into a decoder."""
    parts: list[Any] = [part for part in (backbone.lower, backbone.encoder) if part is not None]
    layers = [layer for part in parts for layer in part.encoder.layer]
    model.embeddings.load_state_dict(_own_weights(parts[0].embeddings))
    for into, out_of in zip(model.encoder.layer, layers, strict=False):
        report = into.load_state_dict(_own_weights(out_of), strict=False)
        new = [key for key in report.missing_keys if not key.startswith("crossattention.")]
        if new or report.unexpected_keys:
            raise CheckpointFormatError(
                f"the backbone's layers are not a decoder's: {new + report.unexpected_keys}"
            )


def _own_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's weights under their own names, without the adapter's."""
    return {
        name.replace(".base_layer.", "."): value
        for name, value in module.state_dict().items()
        if not any(part in ADAPTED for part in name.split("."))
    }
