import json
from pathlib import Path

import numpy as np
import pytest

from mase.params import TowerParams
from mase.proxies import build_tower, load_tower
from mase.proxies.checking.neighbours import PROBE_WORDS, SHOWN, nearest
from mase.proxies.checking.rendering import render
from mase.proxies.checking.report import check_tower
from mase.proxies.checking.twin import random_twin
from mase.proxies.clip_text import ClipTextTower
from mase.proxies.tokenizer import lowest_ids

SIZES = {"width": 16, "layers": 3, "heads": 2, "output_width": 12, "vocabulary": 600}


@pytest.fixture
def tower() -> ClipTextTower:
    settings = {"name": "tiny", "modality": "audio", "format": "random", "ref": "x", "activation": "gelu"}
    built = build_tower(TowerParams.model_validate({**settings, **SIZES}))
    assert isinstance(built, ClipTextTower)
    return built


def test_the_twin_has_the_size_the_heads_and_the_vocabulary(tower: ClipTextTower) -> None:
    twin = random_twin(tower)
    assert {k: v.shape for k, v in twin.weights().items()} == {k: v.shape for k, v in tower.weights().items()}
    assert twin.settings() == tower.settings()
    assert twin.settings()["kept"] == list(lowest_ids(600))
    assert (twin.modality, twin.width) == ("audio", 12)
    assert not np.allclose(twin.encode(["a dog"]), tower.encode(["a dog"]))


def test_neighbours_are_the_nearest_other_words() -> None:
    places = {"a": [0.0, 1.0], "b": [0.1, 1.0], "c": [1.0, 0.0], "d": [-1.0, -2.0]}
    found = nearest(lambda texts: np.array([places[text] for text in texts]), tuple("abcd"), ("a", "c"), 2)
    assert found["a"] == ["b", "c"]
    assert set(SHOWN) <= set(PROBE_WORDS)
    assert len(set(PROBE_WORDS)) == len(PROBE_WORDS)


def test_without_data_there_are_neighbours_and_cka(tower: ClipTextTower) -> None:
    report = check_tower(tower, others={"itself": tower})
    assert report.cka["itself"] == pytest.approx(1)
    assert 0 <= report.cka["random"] < 1
    assert report.retrieval == report.names == report.cut == {}
    assert set(report.neighbours) == set(SHOWN)
    assert "itself 1.000" in render(report)


@pytest.mark.slow
def test_every_part_of_a_report_on_the_real_data(shared_data: Path, tower: ClipTextTower) -> None:
    report = check_tower(tower, shared_data)
    assert report.candidates == {"coco_captions": 1000, "audiocaps": 248}
    for rows in report.retrieval.values():
        assert set(rows) == {"tower", "random", "tf-idf"}
        assert rows["tower"].recall[1] < rows["tf-idf"].recall[1]  # a random tower knows no words
    assert report.retrieval["coco_captions"]["tf-idf"].recall[1] == pytest.approx(0.24, abs=0.03)
    held_out = report.names["held-out names"]
    assert held_out.constant_cosine > 0.8
    assert held_out.rows["character n-grams"].cosine == pytest.approx(0.31, abs=0.05)
    assert held_out.rows["tower"].cosine < held_out.rows["character n-grams"].cosine
    assert report.names["probe names"].rows["tower"].names > 500
    assert report.cut["coco_captions"] > 0  # 600 rows: nearly letter by letter
    assert json.loads(json.dumps(report.to_json()))["candidates"] == report.candidates
    assert "audiocaps, 248 held out" in render(report)


def test_a_real_sentence_encoder_can_be_checked_too() -> None:
    report = check_tower(load_tower("text-encoder"))
    assert "dog" in report.neighbours["puppy"]
    assert report.width == 384
