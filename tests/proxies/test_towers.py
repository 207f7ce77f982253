import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import yaml
from torch import Tensor

from mase.errors import CheckpointFormatError, MissingWeightsError, ParamsError
from mase.params import TowerParams, available, read_named, validate
from mase.proxies import build_tower, load_tower
from mase.proxies.clip_text import random_weights
from mase.proxies.tokenizer import lowest_ids

STAND_INS = [
    f"{kind}-{modality}" for kind in ("embedded", "random") for modality in ("image", "audio", "video")
]
NEEDS_FILES = {
    "clap": "laion/clap-htsat-unfused",
    "xclip": "microsoft/xclip-base-patch32",
    "clip-vit-b32": "ViT-B-32",
    "clip-vit-b32-hf": "openai/clip-vit-base-patch32",
    "audioclip": "AudioCLIP-Full-Training.pt",
    "clip-vip-b16": "pretrain_clipvip_base_16.pt",
    "clip-vip-b32": "pretrain_clipvip_base_32.pt",
}


@pytest.mark.parametrize("name", available("towers"))
def test_every_shipped_tower_is_valid(name: str) -> None:
    params = validate(TowerParams, read_named("towers", name), name)
    assert params.name == name
    assert params.width % params.heads == 0
    assert params.entity_prompt.format("red ball").count("red ball") == 1
    assert params.note
    assert params.stand_in == (name in STAND_INS)


def test_every_shipped_tower_is_tested() -> None:
    assert set(available("towers")) >= {*STAND_INS, *NEEDS_FILES, "text-encoder"}


@pytest.mark.parametrize("name", STAND_INS)
def test_stand_ins_encode_awkward_texts(name: str) -> None:
    tower = load_tower(name)
    vectors = tower.encode(["a red ball", "", "\U0001f600", "x" * 10_000, "a red ball"])
    assert vectors.shape == (5, tower.width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[0], vectors[4], atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1
    assert name.endswith(tower.modality)


def test_no_texts_give_no_vectors() -> None:
    assert load_tower("embedded-image").encode([]).shape == (0, 96)


def test_stand_ins_differ_from_each_other_and_not_from_themselves() -> None:
    digests = [load_tower(name).digest for name in STAND_INS]
    assert len(set(digests)) == len(STAND_INS)
    assert load_tower(STAND_INS[0]).digest == digests[0]


@pytest.mark.parametrize(("name", "wanted"), NEEDS_FILES.items())
def test_a_real_tower_that_is_not_there_says_what_to_do(name: str, wanted: str, mase_home: Path) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        load_tower(name)
    message = str(caught.value)
    modality = read_named("towers", name)["modality"]
    assert wanted in message
    assert str(mase_home / "checkpoints") in message
    assert f"--set towers.{modality}=embedded-{modality}" in message


def test_a_checkpoint_is_found_below_the_home_folder(
    mase_home: Path, tower_params: Callable[..., TowerParams]
) -> None:
    params = tower_params("openai", "tiny.pt", vocabulary=600)
    folder = mase_home / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(random_weights(params, 0), folder / "tiny.pt")
    (folder / "tiny.token_ids.json").write_text(json.dumps(lowest_ids(600)))
    assert build_tower(params).encode(["a"]).shape == (1, 24)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ParamsError, match="embedded-image"):
        load_tower("embeded-image")


def test_a_missing_checkpoint_file_is_not_taken_for_a_name() -> None:
    with pytest.raises(MissingWeightsError, match=r"no/such.safetensors.*embedded-image"):
        load_tower("no/such.safetensors")


def test_open_clip_settings_that_differ_from_the_model_s_are_refused() -> None:
    params = validate(TowerParams, read_named("towers", "clip-vit-b32"), "clip-vit-b32")
    with pytest.raises(ParamsError, match="quick_gelu"):
        build_tower(params.model_copy(update={"activation": "gelu"}))
    with pytest.raises(MissingWeightsError, match="no-such-tag"):
        build_tower(params.model_copy(update={"pretrained": "no-such-tag"}))


def test_any_open_clip_model_is_a_tower_by_its_params_alone(
    tmp_path: Path, clip: open_clip.CLIP, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    models = {"Tiny-2": {"embed_dim": 24, "text_cfg": sizes}}
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", models)
    torch.save(clip.state_dict(), tmp_path / "tiny.pt")
    line = {"width": 32, "layers": 2, "heads": 2, "output_width": 24, "pretrained": str(tmp_path / "tiny.pt")}
    params = TowerParams.model_validate(
        {"name": "t", "modality": "image", "format": "open_clip", "ref": "Tiny-2", **line}
    )
    texts = ["a photo of a cat", "two dogs run"]
    with torch.inference_mode():
        expected = clip.encode_text(open_clip.tokenize(texts)).numpy()
    np.testing.assert_allclose(build_tower(params).encode(texts), expected, atol=1e-5)
    with pytest.raises(ParamsError, match="Tiny-2 has heads: 2"):
        build_tower(params.model_copy(update={"heads": 4}))


@pytest.mark.parametrize(
    ("change", "message"), [({"heads": 5}, "multiple of heads"), ({"vocabulary": 100}, "514")]
)
def test_a_random_tower_of_impossible_sizes_is_refused(
    change: dict[str, int], message: str, tower_params: Callable[..., TowerParams]
) -> None:
    with pytest.raises(ParamsError, match=message):
        build_tower(tower_params("random", "a", **change))


def test_a_yaml_file_may_name_a_checkpoint_beside_it(
    tmp_path: Path, tower_params: Callable[..., TowerParams]
) -> None:
    params = tower_params("open_clip", "tiny.pt", vocabulary=600)
    torch.save(random_weights(params, 0), tmp_path / "tiny.pt")
    (tmp_path / "tiny.token_ids.json").write_text(json.dumps(lowest_ids(600)))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    assert load_tower(str(tmp_path / "tiny.yaml")).encode(["a"]).shape == (1, 24)
    (tmp_path / "tiny.yaml").write_text("name: tiny\nwidht: 3\n")
    with pytest.raises(ParamsError, match="widht.*width"):
        load_tower(str(tmp_path / "tiny.yaml"))


def huggingface_state(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of a one-layer tower as Hugging Face does, written out by hand."""
    block, layer = "transformer.resblocks.0.", "text_model.encoder.layers.0."
    state = {
        "text_model.embeddings.token_embedding.weight": weights["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": weights["positional_embedding"],
        "text_model.final_layer_norm.weight": weights["ln_final.weight"],
        "text_model.final_layer_norm.bias": weights["ln_final.bias"],
        "text_projection.weight": weights["text_projection"].T.contiguous(),
    }
    pairs = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for ours, theirs in {**pairs, "attn.out_proj": "self_attn.out_proj"}.items():
        for kind in ("weight", "bias"):
            state[f"{layer}{theirs}.{kind}"] = weights[f"{block}{ours}.{kind}"]
    for number, part in enumerate("qkv"):
        rows = slice(64 * number, 64 * (number + 1))
        state[f"{layer}self_attn.{part}_proj.weight"] = weights[f"{block}attn.in_proj_weight"][rows].clone()
        state[f"{layer}self_attn.{part}_proj.bias"] = weights[f"{block}attn.in_proj_bias"][rows].clone()
    return state


@pytest.mark.parametrize("layout", ["openai", "audioclip", "huggingface", "clipvip", "open_clip"])
def test_a_checkpoint_s_format_and_sizes_are_recognised(layout: str, tmp_path: Path) -> None:
    params = TowerParams(
        name="t",
        modality="image",
        format="random",
        ref="a",
        width=64,
        layers=1,
        heads=1,
        output_width=24,
        vocabulary=600,
    )
    weights = random_weights(params, 0)
    reference = build_tower(params).encode(["a cat"])
    state = {
        "openai": weights | {"input_resolution": torch.tensor(224)},
        "audioclip": weights | {"logit_scale_ai": torch.tensor(1.0)},
        "open_clip": weights,
        "huggingface": huggingface_state(weights),
        "clipvip": {f"clipmodel.{key}": tensor for key, tensor in huggingface_state(weights).items()},
    }[layout]
    path = tmp_path / "found.pt"
    torch.save(state, path)
    path.with_suffix(".token_ids.json").write_text(json.dumps(lowest_ids(600)))
    if layout == "open_clip":
        with pytest.raises(CheckpointFormatError, match="found.pt: .*quick_gelu"):
            load_tower(str(path))
        config = {"model_cfg": {"quick_gelu": True, "text_cfg": {"heads": 1}}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    tower = load_tower(str(path))
    np.testing.assert_allclose(tower.encode(["a cat"]), reference, atol=1e-5)
    assert tower.modality == {"audioclip": "audio", "clipvip": "video"}.get(layout, "image")


def test_a_checkpoint_without_a_text_tower_is_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointFormatError, match="other.pt: no text tower"):
        load_tower(str(tmp_path / "other.pt"))
