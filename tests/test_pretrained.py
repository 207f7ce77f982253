"""A trained model in Hugging Face's layout: what is in the folder, and that it comes back the same."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.model.mase import MaseModel
from mase.params import Params, load_params
from mase.prediction import Prediction, Predictor
from mase.pretrained_config import MaseConfig

TEXTS = ["A red bus passes a small dog.", "", "The loud bell rings."]
HUGGING_FACE = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the smallest unit, and return the folder of its model."""
    from mase.units import Unit, train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(tmp_path_factory.mktemp("home")))
        params = load_params("looks", profile="smoke", overrides=("training.max_steps=2",), seed=0)
        return train(Unit(params=params, label="smallest"), keep_model=True).folder / "model"


@pytest.fixture(scope="module")
def said(folder: Path) -> list[Prediction]:
    return Predictor.load(folder).predict(TEXTS)


def test_a_unit_keeps_its_model_in_hugging_faces_layout(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= HUGGING_FACE
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.metadata() == {"format": "pt"}
        assert "allocation" in weights.keys()  # noqa: SIM118 - a handle, no mapping


def test_the_config_says_what_the_model_is(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = AutoConfig.from_pretrained(folder)
    assert isinstance(config, MaseConfig)
    assert config.architectures == ["MaseModel"]
    assert config.id2label == {0: "cool", 1: "warm"} and config.label2id == {"cool": 0, "warm": 1}
    assert config.problem_type == "single_label_classification"
    said = json.loads((folder / "config.json").read_text())
    assert said["modalities"] == ["text", "image", "audio", "video"]
    assert said["towers"]["audio"] == "embedded-audio"
    assert (folder / said["params_file"]).is_file()


def test_the_tokenizer_is_found_as_any_other(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("A red bus.") == ["a", "red", "bus", "."]


def test_the_card_says_data_limits_and_terms(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: mase\n")
    for heading in ("## Data", "## Model", "## Limits", "## Terms of the weights"):
        assert heading in card
    assert "academic use only, because of AudioCaps" in card
    assert "scores mean nothing" in card  # of a random language model


def test_a_model_goes_out_and_comes_back_with_the_same_predictions(
    folder: Path, said: list[Prediction], tmp_path: Path
) -> None:
    MaseModel.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {path.name for path in folder.iterdir()}
    assert Predictor.load(tmp_path / "copy").predict(TEXTS) == said
    first, second = (MaseModel.from_pretrained(f) for f in (folder, tmp_path / "copy"))
    assert not second.training
    for (name, mine), (_, other) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.equal(mine, other), name


def test_changed_weights_are_saved(folder: Path, said: list[Prediction], tmp_path: Path) -> None:
    model = MaseModel.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.neg_()
    model.save_pretrained(tmp_path)
    other = Predictor.load(tmp_path).predict(TEXTS)
    for mine, old in zip(other, said, strict=True):
        assert mine.probabilities["warm"] == pytest.approx(old.probabilities["cool"], abs=1e-5)


def test_a_folder_without_config_and_card_still_loads(
    folder: Path, said: list[Prediction], tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    (old / "config.json").unlink()
    (old / "README.md").unlink()
    assert Predictor.load(old).predict(TEXTS) == said
    assert isinstance(MaseModel.from_pretrained(old), MaseModel)


def test_a_folder_of_another_model_or_of_none_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"no params\.yaml"):
        MaseModel.from_pretrained(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(CheckpointFormatError, match=r"model\.safetensors"):
        MaseModel.from_pretrained(broken)


@pytest.mark.parametrize(("task", "problem"), [("stsb", "regression"), ("commonsense_qa", None)])
def test_the_config_of_other_families(task: str, problem: str | None) -> None:
    from mase.pretrained_config import config_of

    params: Params = load_params(task, profile="local", overrides=["data.dir=x"])
    config = config_of(params, "MaseModel", None)
    assert config.problem_type == problem
    assert config.num_labels == (5 if task == "commonsense_qa" else 1)
