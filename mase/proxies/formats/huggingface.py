"""Hugging Face's CLIP: `CLIPTextModelWithProjection` or `CLIPModel` weights.

Query, key and value are separate matrices, and the projection is a Linear, so it is
stored as (output, width). Files older than transformers 4.31 also hold the constant
buffer `position_ids`. `config.json` beside the weights holds what shapes cannot say.

Pooling: transformers takes the first end-of-text token, or the largest id where the
config still says `eos_token_id: 2`; both are the first 49407, as here.
"""

import json
from pathlib import Path
from typing import Any

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies.clip_text import EPSILON
from mase.proxies.formats.key_map import CheckpointFormat, KeyMap, Source

BLOCK_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def huggingface_keys(layers: int) -> KeyMap:
    """Return where Hugging Face's CLIP keeps each parameter."""
    keys = {
        "token_embedding.weight": Source(("text_model.embeddings.token_embedding.weight",)),
        "positional_embedding": Source(("text_model.embeddings.position_embedding.weight",)),
        "ln_final.weight": Source(("text_model.final_layer_norm.weight",)),
        "ln_final.bias": Source(("text_model.final_layer_norm.bias",)),
        "text_projection": Source(("text_projection.weight",), transposed=True),
    }
    for layer in range(layers):
        ours, theirs = f"transformer.resblocks.{layer}.", f"text_model.encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            stacked = tuple(f"{theirs}self_attn.{part}_proj.{kind}" for part in "qkv")
            keys[f"{ours}attn.in_proj_{kind}"] = Source(stacked)
            for name, their_name in BLOCK_NAMES.items():
                keys[f"{ours}{name}.{kind}"] = Source((f"{theirs}{their_name}.{kind}",))
    return keys


IGNORED = (
    "text_model.embeddings.position_ids",
    "vision_model.*",
    "visual_projection.weight",
    "logit_scale",
)

HUGGINGFACE = CheckpointFormat(name="huggingface", key_map=huggingface_keys, ignored=IGNORED)


def text_config(path: Path) -> dict[str, Any] | None:
    """Return the text part of the `config.json` beside a weights file, None if there is none.

    Raises:
        CheckpointFormatError: if the file is not a JSON object.
    """
    config_path = path.with_name("config.json")
    if not config_path.exists():
        return None
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise CheckpointFormatError(f"{config_path}: not JSON: {cause}") from cause
    config = config.get("text_config", config) if isinstance(config, dict) else None
    if not isinstance(config, dict):
        raise CheckpointFormatError(f"{config_path}: expected a JSON object, the config of a CLIP model")
    return config


def check_config(path: Path, params: TowerParams) -> None:
    """Check the settings that shapes cannot show against the `config.json` beside the weights.

    Raises:
        CheckpointFormatError: naming the file and the key that differs.
    """
    config = text_config(path) or {}
    expected = {
        "num_attention_heads": params.heads,
        "hidden_act": params.activation,
        "layer_norm_eps": EPSILON,
    }
    for key, value in expected.items():
        if key in config and config[key] != value:
            raise CheckpointFormatError(
                f"{path.with_name('config.json')}: {key} is {config[key]!r}, "
                f"but the tower {params.name} asks for {value!r}"
            )
