"""Recognise a checkpoint's format by its keys, and read its sizes off its shapes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mase.errors import CheckpointFormatError
from mase.params import TowerParams, validate
from mase.proxies.formats.audioclip import AUDIOCLIP
from mase.proxies.formats.clipvip import CLIPVIP
from mase.proxies.formats.huggingface import HUGGINGFACE, text_config
from mase.proxies.formats.key_map import CheckpointFormat, KeyMap
from mase.proxies.formats.open_clip import OPEN_CLIP
from mase.proxies.formats.openai import OPENAI
from mase.proxies.formats.xclip import XCLIP

FORMATS = {layout.name: layout for layout in (OPEN_CLIP, OPENAI, HUGGINGFACE, AUDIOCLIP, CLIPVIP, XCLIP)}
MODALITIES = {"audioclip": "audio", "clipvip": "video", "xclip": "video"}  # the rest are image-text models
HEAD_WIDTH = 64  # in every released CLIP
CLAP_KEY = "text_model.embeddings.word_embeddings.weight"
DESCRIBE = "describe the tower in a YAML file like those in params/towers"


def recognised_format(keys: set[str], path: Path) -> CheckpointFormat:
    """Return the format that a checkpoint's keys belong to.

    Raises:
        CheckpointFormatError: if they belong to none.
    """
    if any(key.startswith("clipmodel.text_model.") for key in keys):
        return CLIPVIP
    if CLAP_KEY in keys:
        raise CheckpointFormatError(f"{path}: a CLAP checkpoint needs its sizes said; {DESCRIBE}/clap.yaml")
    if any(key.startswith("mit.") for key in keys):
        return XCLIP
    if any(key.startswith("text_model.") for key in keys):
        return HUGGINGFACE
    if "logit_scale_ai" in keys or any(key.startswith("audio.") for key in keys):
        return AUDIOCLIP
    if "input_resolution" in keys:
        return OPENAI
    if any(key.removeprefix("module.").removeprefix("text.") == "token_embedding.weight" for key in keys):
        return OPEN_CLIP
    raise CheckpointFormatError(
        f"{path}: no text tower of a known format ({', '.join(FORMATS)}); "
        f"its keys begin with {sorted(keys)[:3]}"
    )


def _layers(tensors: Mapping[str, Tensor], layout: CheckpointFormat) -> int:
    def probe(layer: int) -> str:
        added: KeyMap = layout.key_map(layer + 1)
        return added[f"transformer.resblocks.{layer}.ln_1.weight"].keys[0]

    layers = 0
    while probe(layers) in tensors:
        layers += 1
    return layers


def _stated_settings(path: Path, layout: CheckpointFormat) -> dict[str, Any]:
    """Return heads and activation as far as the format or a file beside the weights says them."""
    if layout in (HUGGINGFACE, XCLIP) and (config := text_config(path)):
        stated = {"heads": config.get("num_attention_heads"), "activation": config.get("hidden_act")}
        return {key: value for key, value in stated.items() if value is not None}
    if layout is not OPEN_CLIP:
        return {"activation": "quick_gelu"}
    config_path = path.with_name("open_clip_config.json")
    if not config_path.exists():
        raise CheckpointFormatError(
            f"{path}: an OpenCLIP checkpoint does not say whether its activation is gelu or quick_gelu; "
            f"put its {config_path.name} beside it, or {DESCRIBE}"
        )
    try:
        model = json.loads(config_path.read_text(encoding="utf-8"))["model_cfg"]
        return {
            "heads": model["text_cfg"]["heads"],
            "activation": "quick_gelu" if model.get("quick_gelu", False) else "gelu",
        }
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as cause:
        raise CheckpointFormatError(
            f"{config_path}: not the config of an OpenCLIP model: {cause!r}"
        ) from cause


def described(tensors: Mapping[str, Tensor], path: Path) -> TowerParams:
    """Return the params of the tower that a checkpoint holds, from its keys and shapes.

    The number of heads is width / 64, as in every released CLIP, unless a config beside
    the weights says it.

    Raises:
        CheckpointFormatError: if the format is unknown, a key is missing, or heads or
            activation cannot be told.
    """
    layout = recognised_format(set(tensors), path)
    inner = layout.unwrapped(tensors)
    sources = layout.key_map(0)
    for source in sources.values():
        if source.keys[0] not in inner or inner[source.keys[0]].ndim == 0:
            raise CheckpointFormatError(
                f"{path}: the {layout.name} format needs the text key {source.keys[0]!r}"
            )
    tokens = inner[sources["token_embedding.weight"].keys[0]]
    projection = sources["text_projection"]
    settings = _stated_settings(path, layout)
    width = tokens.shape[-1]
    if "heads" not in settings:
        if width % HEAD_WIDTH:
            raise CheckpointFormatError(
                f"{path}: width {width} is not a multiple of {HEAD_WIDTH}, "
                f"so the number of heads cannot be told; {DESCRIBE}"
            )
        settings["heads"] = width // HEAD_WIDTH
    content = {
        "name": path.stem,
        "modality": MODALITIES.get(layout.name, "image"),
        "format": layout.name,
        "ref": str(path),
        "width": width,
        "layers": _layers(inner, layout),
        "output_width": inner[projection.keys[0]].shape[0 if projection.transposed else -1],
        "context_length": inner[sources["positional_embedding"].keys[0]].shape[0],
        "vocabulary": tokens.shape[0],
        **settings,
    }
    return validate(TowerParams, content, str(path))
