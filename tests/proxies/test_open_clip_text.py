"""Text towers that OpenCLIP builds itself, against its own `encode_text`."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies.build import build_tower

SIZES = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": 8, "layers": 1, "width": 16, "head_width": 8, "patch_size": 4}
MODELS: dict[str, dict[str, Any]] = {
    "Tiny-Sigmoid": {
        "embed_dim": 24,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": VISION,
        "text_cfg": {**SIZES, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    },
    "Tiny-CoCa": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": {**SIZES, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    },
}
TEXTS = ["a red bus", "", "two dogs run over the long grey street behind the station and over the bridge"]


@pytest.fixture(params=list(MODELS))
def made(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, TowerParams]:
    """Write random weights of a small model that OpenCLIP knows by name."""
    name = request.param
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", MODELS)
    torch.manual_seed(0)
    model = open_clip.create_model(name, load_weights=False).eval()
    torch.save(model.state_dict(), tmp_path / "tiny.pt")
    about = {"width": 32, "layers": 2, "heads": 2, "output_width": 24, "context_length": 16}
    line = {"name": "t", "modality": "image", "format": "open_clip", "ref": name}
    params = TowerParams.model_validate({**line, **about, "pretrained": str(tmp_path / "tiny.pt")})
    return model, params


def test_vectors_are_open_clips_own(made: tuple[Any, TowerParams]) -> None:
    model, params = made
    tower = build_tower(params)
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(params.ref)(TEXTS)).numpy()
    encoding = tower.encode_checked(TEXTS)
    np.testing.assert_allclose(encoding.vectors, expected, atol=1e-5)
    assert encoding.truncated.tolist() == [False, False, True]
    np.testing.assert_allclose(tower.encode(TEXTS[:1]), expected[:1], atol=1e-5)
    assert tower.encode([]).shape == (0, 24)


def test_the_weights_are_the_towers_identity(made: tuple[Any, TowerParams], tmp_path: Path) -> None:
    model, params = made
    before = build_tower(params).digest
    assert build_tower(params).digest == before
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "token_embedding" in name).mul_(2)
    torch.save(model.state_dict(), tmp_path / "tiny.pt")
    assert build_tower(params).digest != before


@pytest.mark.parametrize(("field", "value"), [("output_width", 32), ("context_length", 77)])
def test_another_size_than_the_models_is_refused(
    made: tuple[Any, TowerParams], field: str, value: int
) -> None:
    _, params = made
    with pytest.raises(CheckpointFormatError, match=f"{field}: .*the tower's params say"):
        build_tower(params.model_copy(update={field: value}))


def test_other_weights_are_refused(made: tuple[Any, TowerParams], tmp_path: Path) -> None:
    _, params = made
    torch.save({"positional_embedding": torch.zeros(2, 2)}, tmp_path / "tiny.pt")
    with pytest.raises(CheckpointFormatError, match="not weights of OpenCLIP's"):
        build_tower(params)
