import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor
from transformers import CLIPModel, CLIPTextModelWithProjection

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies import build_tower
from mase.proxies.tokenizer import lowest_ids

State = dict[str, Tensor]
Make = Callable[..., TowerParams]
Write = Callable[..., Path]

TEXTS = [
    "a photo of a cat",
    "",
    "Two dogs &amp; a cat, running!!! It's 5 o'clock.",
    "\U0001f600 caf\u00e9 \u65e5\u672c\u8a9e",
    "the drum " * 60,
    "a long sentence about nothing in particular that goes on for a while, and then ends",
]

# one text key of each format, and one key that looks like text but belongs to no layer
A_KEY = {
    "open_clip": "transformer.resblocks.1.mlp.c_fc.weight",
    "openai": "transformer.resblocks.0.attn.in_proj_bias",
    "audioclip": "text_projection",
    "huggingface": "text_model.encoder.layers.1.self_attn.k_proj.weight",
    "clipvip": "clipmodel.text_projection.weight",
}
A_STRANGER = {
    "open_clip": "transformer.resblocks.2.ln_1.weight",
    "openai": "transformer.extra",
    "audioclip": "vision.transformer.ln_1.weight",
    "huggingface": "text_model.embeddings.type_embedding.weight",
    "clipvip": "text_model.final_layer_norm.weight",
}
FORMATS = sorted(A_KEY)


@pytest.mark.parametrize("layout", ["open_clip", "audioclip"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_open_clip_layouts_give_what_open_clip_gives(
    layout: str, suffix: str, states: dict[str, State], expected: Tensor, tower_params: Make, write: Write
) -> None:
    path = write(states[layout], f"tiny.{suffix}")
    vectors = build_tower(tower_params(layout, path)).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-5)


def test_openai_half_precision_gives_what_open_clip_gives_for_it(
    states: dict[str, State], clip: open_clip.CLIP, tower_params: Make, write: Write
) -> None:
    rounded = copy.deepcopy(clip)
    rounded.load_state_dict({key: states["openai"][key].float() for key in clip.state_dict()})
    with torch.inference_mode():
        expected = rounded.encode_text(open_clip.tokenize(TEXTS)).numpy()
    vectors = build_tower(tower_params("openai", write(states["openai"]))).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_gelu_and_quick_gelu_are_told_apart_by_the_params(
    states: dict[str, State], expected: Tensor, clip: open_clip.CLIP, tower_params: Make, write: Write
) -> None:
    path = write(states["open_clip"])
    vision = open_clip.CLIPVisionCfg(layers=1, width=32, image_size=32, patch_size=16, head_width=16)
    gelu = open_clip.CLIP(
        24, vision, open_clip.CLIPTextCfg(width=32, heads=2, layers=2), quick_gelu=False
    ).eval()
    gelu.load_state_dict(clip.state_dict())
    vectors = build_tower(tower_params("open_clip", path, activation="gelu")).encode(TEXTS)
    with torch.inference_mode():
        np.testing.assert_allclose(vectors, gelu.encode_text(open_clip.tokenize(TEXTS)), atol=1e-5)
    assert np.abs(vectors - expected.numpy()).max() > 1e-4


def test_open_clip_training_checkpoints_and_custom_text_towers_are_unwrapped(
    states: dict[str, State], expected: Tensor, tower_params: Make, write: Write
) -> None:
    text = {key: "" if key.startswith(("visual.", "logit")) else "text." for key in states["open_clip"]}
    wrapped = {f"module.{text[key]}{key}": tensor for key, tensor in states["open_clip"].items()}
    path = write({"epoch": 3, "name": "run", "state_dict": wrapped, "optimizer": {"lr": 0.1}})
    vectors = build_tower(tower_params("open_clip", path)).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-5)


def test_a_clip_vip_file_gives_what_transformers_gives(
    states: dict[str, State], expected_huggingface: Tensor, tower_params: Make, write: Write
) -> None:
    vectors = build_tower(tower_params("clipvip", write(states["clipvip"]))).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected_huggingface.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["whole model", "text model", "old file"])
def test_huggingface_weights_give_what_transformers_gives(
    kind: str,
    states: dict[str, State],
    huggingface_clip: CLIPModel,
    huggingface_text: CLIPTextModelWithProjection,
    expected_huggingface: Tensor,
    tower_params: Make,
    write: Write,
    tmp_path: Path,
) -> None:
    if kind == "old file":
        ref = write(states["huggingface"], "model.safetensors")
    else:
        ref = tmp_path / "model"
        (huggingface_clip if kind == "whole model" else huggingface_text).save_pretrained(ref)
    vectors = build_tower(tower_params("huggingface", ref)).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected_huggingface.numpy(), atol=1e-5)


@pytest.mark.parametrize("layout", FORMATS)
def test_a_missing_text_key_is_named(
    layout: str, states: dict[str, State], tower_params: Make, write: Write
) -> None:
    path = write({key: tensor for key, tensor in states[layout].items() if key != A_KEY[layout]})
    with pytest.raises(CheckpointFormatError, match=f"tiny.pt: .* needs the text key '{A_KEY[layout]}'"):
        build_tower(tower_params(layout, path))


@pytest.mark.parametrize("layout", FORMATS)
def test_an_extra_key_is_named(
    layout: str, states: dict[str, State], tower_params: Make, write: Write
) -> None:
    path = write(states[layout] | {A_STRANGER[layout]: torch.ones(1)})
    with pytest.raises(CheckpointFormatError, match=f"tiny.pt: .* has no key '{A_STRANGER[layout]}'"):
        build_tower(tower_params(layout, path))


@pytest.mark.parametrize("layout", FORMATS)
def test_a_wrong_width_is_named(
    layout: str, states: dict[str, State], tower_params: Make, write: Write
) -> None:
    key = A_KEY[layout]
    path = write(states[layout] | {key: torch.cat([states[layout][key]] * 2)})
    with pytest.raises(CheckpointFormatError, match=f"tiny.pt: key '{key}' .* shape"):
        build_tower(tower_params(layout, path))


@pytest.mark.parametrize(
    "change", [{"output_width": 32}, {"width": 64}, {"context_length": 50}, {"layers": 1}]
)
def test_params_that_do_not_fit_the_file_are_refused(
    change: dict[str, int], states: dict[str, State], tower_params: Make, write: Write
) -> None:
    path = write(states["open_clip"])
    with pytest.raises(CheckpointFormatError, match=r"tiny.pt: .*key '"):
        build_tower(tower_params("open_clip", path, **change))


def test_a_checkpoint_of_another_format_is_refused(
    states: dict[str, State], tower_params: Make, write: Write
) -> None:
    for layout in FORMATS:
        path = write(states[layout])
        other = "huggingface" if layout in ("open_clip", "openai", "audioclip", "clipvip") else "clipvip"
        with pytest.raises(CheckpointFormatError, match=r"tiny.pt: .*key '"):
            build_tower(tower_params(other, path))


class Payload:
    """An object that would be called on loading if pickles were trusted."""

    calls = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return (Payload.called, ())

    @staticmethod
    def called() -> None:
        Payload.calls += 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"text_projection": Payload()}, "more than tensors"),
        ({"text_projection": 3}, "key 'text_projection' holds int"),
        ({"state_dict": {"a": "b"}}, "key 'a' holds str"),
        ([torch.ones(1)], "found list"),
    ],
)
def test_a_pickle_that_holds_more_than_tensors_is_refused(
    content: Any, message: str, tower_params: Make, write: Write
) -> None:
    with pytest.raises(CheckpointFormatError, match=f"tiny.pt: .*{message}"):
        build_tower(tower_params("openai", write(content)))
    assert Payload.calls == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_archive_is_refused_with_the_way_to_convert_it(
    tower_params: Make, tmp_path: Path
) -> None:
    path = tmp_path / "ViT-B-32.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2)), path)
    with pytest.raises(CheckpointFormatError, match=r"ViT-B-32.pt: .*TorchScript.*torch.jit.load"):
        build_tower(tower_params("openai", path))


@pytest.mark.parametrize("name", ["tiny.pt", "tiny.safetensors"])
@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_a_damaged_file_is_refused(
    name: str, damage: str, states: dict[str, State], tower_params: Make, write: Write
) -> None:
    path = write(states["open_clip"], name)
    path.write_bytes({"garbage": b"no checkpoint" * 9, "cut": path.read_bytes()[:5000], "empty": b""}[damage])
    with pytest.raises(CheckpointFormatError, match=name):
        build_tower(tower_params("open_clip", path))


@pytest.mark.parametrize(("key", "value"), [("hidden_act", "gelu"), ("num_attention_heads", 4)])
def test_a_huggingface_config_that_differs_is_refused(
    key: str, value: Any, states: dict[str, State], tower_params: Make, write: Write, tmp_path: Path
) -> None:
    path = write(states["huggingface"], "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {key: value}}))
    with pytest.raises(CheckpointFormatError, match=rf"config.json: {key} is {value!r}"):
        build_tower(tower_params("huggingface", path))


class TestKeptIds:
    kept = lowest_ids(3000)

    def write(self, write: Write, state: State) -> Path:
        tokens = state["token_embedding.weight"]
        path = write(state | {"token_embedding.weight": tokens[list(self.kept)]}, "small.safetensors")
        path.with_suffix(".token_ids.json").write_text(json.dumps(self.kept))
        return path

    def test_kept_tokens_give_the_full_tower_s_vectors(
        self, states: dict[str, State], tower_params: Make, write: Write
    ) -> None:
        full = build_tower(tower_params("open_clip", write(states["open_clip"])))
        path = self.write(write, states["open_clip"])
        small = build_tower(tower_params("open_clip", path, vocabulary=3000))
        np.testing.assert_allclose(small.encode(["the cat", ""]), full.encode(["the cat", ""]), atol=1e-6)
        assert np.isfinite(small.encode(["zeppelin \U0001f600"])).all()
        assert small.digest != full.digest

    def test_another_count_without_the_list_is_refused(
        self, states: dict[str, State], tower_params: Make, write: Write
    ) -> None:
        path = self.write(write, states["open_clip"])
        path.with_suffix(".token_ids.json").unlink()
        with pytest.raises(
            CheckpointFormatError,
            match=r"small.safetensors: key 'token_embedding.weight' has 3000 rows .*token_ids",
        ):
            build_tower(tower_params("open_clip", path, vocabulary=3000))

    @pytest.mark.parametrize(
        "content", ["[1, 2]", "{}", "not json", json.dumps([*range(1, 2999), 49406, 49407])]
    )
    def test_a_list_that_does_not_fit_is_refused(
        self, content: str, states: dict[str, State], tower_params: Make, write: Write
    ) -> None:
        path = self.write(write, states["open_clip"])
        path.with_suffix(".token_ids.json").write_text(content)
        with pytest.raises(CheckpointFormatError, match="token_ids.json"):
            build_tower(tower_params("open_clip", path, vocabulary=3000))
