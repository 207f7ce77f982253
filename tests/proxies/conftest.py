"""A tiny CLIP of OpenCLIP's own making, and its weights in each checkpoint format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection

from mase.params import TowerParams

State = dict[str, Tensor]
SIZES: dict[str, Any] = {"width": 32, "layers": 2, "heads": 2, "output_width": 24}

TEXTS = [
    "a photo of a cat",
    "",
    "Two dogs &amp; a cat, running!!! It's 5 o'clock.",
    "\U0001f600 caf\u00e9 \u65e5\u672c\u8a9e",
    "the drum " * 60,
    "a long sentence about nothing in particular that goes on for a while, and then ends",
]


def perturbed(module: torch.nn.Module) -> torch.nn.Module:
    """Move every parameter off its initial value, so that biases and norms matter."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval()


@pytest.fixture(scope="session")
def clip() -> open_clip.CLIP:
    vision = open_clip.CLIPVisionCfg(layers=1, width=32, image_size=32, patch_size=16, head_width=16)
    text = open_clip.CLIPTextCfg(width=32, heads=2, layers=2)
    return perturbed(open_clip.CLIP(embed_dim=24, vision_cfg=vision, text_cfg=text, quick_gelu=True))


@pytest.fixture(scope="session")
def huggingface_clip() -> CLIPModel:
    sizes = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
    config = CLIPConfig(text_config=sizes, vision_config=vision, projection_dim=24)
    return perturbed(CLIPModel(config))


@pytest.fixture(scope="session")
def huggingface_text(huggingface_clip: CLIPModel) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(**{**huggingface_clip.config.text_config.to_dict(), "projection_dim": 24})
    model = CLIPTextModelWithProjection(config).eval()
    state = huggingface_clip.state_dict()
    model.load_state_dict({key: state[key] for key in model.state_dict()})
    return model


@pytest.fixture(scope="session")
def expected(clip: open_clip.CLIP) -> Tensor:
    """OpenCLIP's own text vectors of TEXTS."""
    with torch.inference_mode():
        return clip.encode_text(open_clip.tokenize(TEXTS))


@pytest.fixture(scope="session")
def expected_huggingface(huggingface_text: CLIPTextModelWithProjection) -> Tensor:
    """The text vectors of TEXTS by transformers."""
    with torch.inference_mode():
        return huggingface_text(input_ids=open_clip.tokenize(TEXTS)).text_embeds


def scalars(*names: str) -> State:
    return {name: torch.tensor(4.6) for name in names}


@pytest.fixture(scope="session")
def states(clip: open_clip.CLIP, huggingface_clip: CLIPModel) -> dict[str, State]:
    """The weights as each format's files hold them."""
    plain, wrapped = clip.state_dict(), huggingface_clip.state_dict()
    openai = {key: tensor.half() for key, tensor in plain.items()}
    audio = {"audio.conv1.weight": torch.ones(2, 2), "audio.fbsp.module.freq": torch.ones(3)}
    position_ids = torch.arange(77)[None]
    video = {
        "vision_model.embeddings.added_cls": torch.ones(3, 32),
        "vision_model.embeddings.temporal_embedding": torch.ones(1, 12, 32),
        "text_model.embeddings.position_ids": position_ids,
    }
    return {
        "open_clip": plain,
        "openai": openai
        | {key: torch.tensor(77) for key in ("input_resolution", "context_length", "vocab_size")},
        "audioclip": plain | audio | scalars("logit_scale_ai", "logit_scale_at"),
        "huggingface": wrapped | {"text_model.embeddings.position_ids": position_ids},
        "clipvip": {f"clipmodel.{key}": tensor for key, tensor in (wrapped | video).items()},
    }


@pytest.fixture
def tower_params() -> Callable[..., TowerParams]:
    def make(layout: str, ref: Path | str, **changes: Any) -> TowerParams:
        content = {"name": "tiny", "modality": "image", "format": layout, "ref": str(ref), **SIZES, **changes}
        return TowerParams.model_validate(content)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a state dict as torch.save or safetensors would, by the file's suffix."""

    def to_file(state: Any, name: str = "tiny.pt") -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
        else:
            torch.save(state, path)
        return path

    return to_file
