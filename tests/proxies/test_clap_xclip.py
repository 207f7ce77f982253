"""CLAP's and X-CLIP's text towers against transformers' own output, on random checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import ClapConfig, ClapModel, PreTrainedTokenizerFast, XCLIPConfig, XCLIPModel

from mase.errors import CheckpointFormatError
from mase.params import TowerParams, read_named, validate
from mase.proxies import build_tower, load_tower
from mase.proxies.clap_text import ClapTextTower
from mase.proxies.locate import find_checkpoint

TEXTS = ["a dog barks", "", "rain falls on a tin roof while two people talk", "caf\u00e9 \u65e5\u672c"]
CLAP_SIZES: dict[str, Any] = {
    "width": 32,
    "layers": 2,
    "heads": 2,
    "output_width": 24,
    "context_length": 60,
    "vocabulary": 260,
}


def moved(module: torch.nn.Module) -> Any:
    """Move every parameter off its initial value, so that biases and norms matter."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval()


@pytest.fixture(scope="module")
def xclip() -> XCLIPModel:
    sizes = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    frames = {"mit_hidden_size": 32, "mit_num_attention_heads": 2, "mit_intermediate_size": 32}
    vision = {**sizes, "num_hidden_layers": 1, "image_size": 32, "patch_size": 16, **frames}
    return moved(XCLIPModel(XCLIPConfig(text_config=sizes, vision_config=vision, projection_dim=24)))


@pytest.fixture
def xclip_folder(xclip: XCLIPModel, tmp_path: Path) -> Path:
    xclip.save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def xclip_params(xclip_folder: Path) -> Callable[..., TowerParams]:
    def make(**changes: Any) -> TowerParams:
        sizes = {"width": 32, "layers": 2, "heads": 2, "output_width": 24}
        content = {"name": "tiny", "modality": "video", "format": "xclip", "ref": str(xclip_folder), **sizes}
        return TowerParams.model_validate({**content, **changes})

    return make


def test_xclip_gives_what_transformers_gives(
    xclip: XCLIPModel, xclip_folder: Path, xclip_params: Callable[..., TowerParams]
) -> None:
    with torch.inference_mode():
        wanted = xclip.get_text_features(input_ids=open_clip.tokenize(TEXTS)).pooler_output.numpy()
    described = load_tower(str(xclip_folder))  # recognised by its keys, its heads read from its config
    for tower in (build_tower(xclip_params()), described):
        np.testing.assert_allclose(tower.encode(TEXTS), wanted, atol=1e-5)
        assert tower.modality == "video"


def test_xclip_is_strict(xclip_folder: Path, xclip_params: Callable[..., TowerParams]) -> None:
    with pytest.raises(CheckpointFormatError, match="num_attention_heads is 2"):
        build_tower(xclip_params(heads=4))
    path = xclip_folder / "model.safetensors"
    state = load_file(path)
    save_file({**state, "text_model.stranger": torch.ones(1)}, path)
    with pytest.raises(CheckpointFormatError, match="has no key 'text_model.stranger'"):
        build_tower(xclip_params())
    del state["text_model.encoder.layers.1.self_attn.k_proj.weight"]
    save_file(state, path)
    with pytest.raises(CheckpointFormatError, match=r"needs the text key '.*k_proj.weight'"):
        build_tower(xclip_params())


@pytest.mark.parametrize("name", ["clap", "xclip", "clip-vit-b32-hf"])
def test_the_hub_is_asked_for_the_revision_and_every_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def download(repository: str, file: str, *, revision: str | None) -> str:
        asked.append((repository, file, revision))
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    params = validate(TowerParams, read_named("towers", name), name)
    found = find_checkpoint(params.model_copy(update={"revision": "abc"}))
    assert found == tmp_path / "model.safetensors"
    assert {(repository, revision) for repository, _, revision in asked} == {(params.ref, "abc")}
    files = {file for _, file, _ in asked}
    assert files >= ({"config.json", "tokenizer.json"} if name == "clap" else {"config.json"})


def write_tokenizer(folder: Path) -> None:
    """Write a byte-level tokenizer of RoBERTa's kind, without merges."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    symbols = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(
        models.BPE(vocab={s: i for i, s in enumerate(symbols)}, merges=[], unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def clap() -> ClapModel:
    text = {
        "vocab_size": 260,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "projection_dim": 24,
    }
    audio = {
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 16,
        "hidden_size": 32,
    }
    return moved(ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=24)))


@pytest.fixture
def clap_folder(clap: ClapModel, tmp_path: Path) -> Path:
    clap.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    return tmp_path


@pytest.fixture
def clap_params() -> Callable[..., TowerParams]:
    def make(**changes: Any) -> TowerParams:
        content = {"name": "tiny-clap", "modality": "audio", "format": "clap", "ref": "x"}
        return TowerParams.model_validate({**content, **CLAP_SIZES, **changes})

    return make


def test_clap_gives_what_transformers_gives(
    clap: ClapModel, clap_folder: Path, clap_params: Callable[..., TowerParams]
) -> None:
    tower = build_tower(clap_params(ref=str(clap_folder)))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(clap_folder)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        pooled = clap.text_model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).pooler_output
        wanted = clap.text_projection(pooled)
    np.testing.assert_allclose(tower.encode(TEXTS), wanted.numpy(), atol=1e-5)
    assert (tower.width, tower.modality) == (24, "audio")
    assert tower.fits("short")
    assert not tower.fits("long " * 20)
    assert build_tower(clap_params(ref=str(clap_folder / "model.safetensors"))).digest == tower.digest
    assert ClapTextTower(clap_params(context_length=30), clap_folder).digest != tower.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 4}, "num_attention_heads is 2, but the tower tiny-clap asks for 4"),
        ({"output_width": 32}, "projection_dim is 24"),
        ({"vocabulary": 50265}, "vocab_size is 260"),
        ({"context_length": 77}, "there are 62 positions"),
    ],
)
def test_clap_of_another_size(
    clap_folder: Path, clap_params: Callable[..., TowerParams], changes: dict[str, int], message: str
) -> None:
    with pytest.raises(CheckpointFormatError, match=message):
        ClapTextTower(clap_params(**changes), clap_folder)


def test_a_clap_file_is_not_taken_for_a_clip_model(clap_folder: Path) -> None:
    with pytest.raises(CheckpointFormatError, match="CLAP checkpoint .*clap.yaml"):
        load_tower(str(clap_folder))


def test_clap_is_strict(clap_folder: Path, clap_params: Callable[..., TowerParams]) -> None:
    path = clap_folder / "model.safetensors"
    state = load_file(path)
    key = "text_projection.linear2.bias"
    save_file({name: value for name, value in state.items() if name != key}, path, {"format": "pt"})
    with pytest.raises(CheckpointFormatError, match=f"needs the text key '{key}'"):
        ClapTextTower(clap_params(), clap_folder)
    save_file({**state, "text_model.stranger": torch.ones(1)}, path, {"format": "pt"})
    with pytest.raises(CheckpointFormatError, match="has no key 'text_model.stranger'"):
        ClapTextTower(clap_params(), clap_folder)
    path.unlink()
    with pytest.raises(CheckpointFormatError, match=r"there is no model.safetensors"):
        ClapTextTower(clap_params(), clap_folder)
