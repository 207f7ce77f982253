import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.params import TowerParams, read_named, validate
from mase.proxies import build_tower, load_tower
from mase.proxies.locate import find_package_model
from mase.proxies.tower import BatchedTower

TEXTS = ["A man is playing a guitar.", "", "\U0001f600", "the drum " * 300, "x" * 10_000, "Cats sleep."]


def shipped() -> TowerParams:
    return validate(TowerParams, read_named("towers", "text-encoder"), "text-encoder")


@pytest.fixture(scope="module")
def encoder() -> BatchedTower:
    return load_tower("text-encoder")


def test_vectors_are_the_masked_mean_of_the_last_states(encoder: BatchedTower) -> None:
    folder = find_package_model(shipped())
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    expected = []
    with torch.inference_mode():
        for text in TEXTS:
            inputs = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
            expected.append(model(**inputs).last_hidden_state.mean(dim=1).numpy())
    vectors, truncated = encoder.encode_checked(TEXTS)
    np.testing.assert_allclose(vectors, np.concatenate(expected), atol=1e-5)
    assert truncated.tolist() == [False, False, False, True, False, False]  # one long word is one [UNK]


def test_it_knows_that_like_sentences_are_alike(encoder: BatchedTower) -> None:
    vectors = encoder.encode(
        ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell."]
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.7 > unit[0] @ unit[2]


def test_a_package_that_is_not_installed_says_what_to_do() -> None:
    with pytest.raises(
        MissingWeightsError, match=r"(?s)no-such-package.*--set towers\.image=embedded-image"
    ) as caught:
        build_tower(shipped().model_copy(update={"ref": "no-such-package"}))
    assert "installed package" in str(caught.value)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_another_size_than_declared_is_refused(key: str, tmp_path: Path) -> None:
    config = json.loads((find_package_model(shipped()) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: 1}))
    with pytest.raises(CheckpointFormatError, match=f"config.json: {key} is 1"):
        build_tower(shipped().model_copy(update={"ref": str(tmp_path)}))
