"""Explanations of a tiny unit's predictions, and what dropping a modality means."""

import numpy as np
import pytest
import torch

from mase.errors import DataError, MissingWeightsError
from mase.explanation import MEAN_PROXY, ZERO_WEIGHT, explain, nearest, without
from mase.params import load_params
from mase.prediction import Predictor, model_folder
from mase.pretrained import load_pretrained, save_pretrained
from mase.units import Unit, train

TEXT = "A red bus passes a small dog."
QUICK = ("training.max_steps=4", "allocation.iterations=2", "training.lr_new=0.05", "graph.parser=rules")


def kept(*overlays: str, task: str = "looks", overrides: tuple[str, ...] = ()) -> Unit:
    params = load_params(task, profile="smoke", overlays=overlays, overrides=(*QUICK, *overrides))
    unit = Unit(params=params, label=overlays[0])
    train(unit, keep_model=True)
    return unit


def test_dropping_leaves_the_others_in_proportion() -> None:
    found = without(torch.tensor([0.5, 0.3, 0.2]), 0)
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(1e-6, rel=0.01)
    assert found[1] / found[2] == pytest.approx(1.5)
    assert without(torch.tensor([0.0, 1.0, 0.0]), 1)[[0, 2]].tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


def test_an_explanation_agrees_with_the_prediction_and_with_another_allocation() -> None:
    unit = kept("methods/mase")
    found = explain(unit.folder, TEXT, neighbours=2)
    (said,) = Predictor.load(unit.folder).predict([TEXT])
    assert found.answer.label == said.label
    assert found.answer.probabilities == pytest.approx(said.probabilities)
    assert [one.modality for one in found.modalities] == ["text", "image", "audio", "video"]
    assert {one.modality: one.weight for one in found.modalities} == pytest.approx(said.allocation)
    assert found.how == ZERO_WEIGHT
    assert [entity.phrase for entity in found.entities] == list(said.entities)
    assert all(len(near) == 2 for entity in found.entities for near in entity.neighbours.values())

    # The model whose stored z has no text says what the explanation says of dropping text.
    model, params = load_pretrained(model_folder(unit.folder))
    model.model.allocation.copy_(without(model.model.allocation, 0))
    save_pretrained(unit.folder / "other", model.model, params, model.fitted, model.tokenizer)
    (other,) = Predictor.load(unit.folder / "other").predict([TEXT])
    dropped = found.modalities[0]
    assert dropped.without is not None and dropped.without.probabilities == pytest.approx(other.probabilities)
    assert dropped.change == pytest.approx(
        other.probabilities[str(said.label)] - said.probabilities[str(said.label)]
    )
    assert abs(dropped.change or 0) > 1e-4


def test_a_concatenation_drops_proxies_by_their_mean_and_keeps_its_text() -> None:
    found = explain(kept("methods/mpb").folder, TEXT)
    text, image, *_ = found.modalities
    assert found.how == MEAN_PROXY
    assert text.without is None and image.without is not None and image.change != 0
    assert found.entities[0].neighbours == {}


def test_text_alone_cannot_be_left_out() -> None:
    (only,) = explain(kept("methods/text").folder, TEXT).modalities
    assert (only.weight, only.without, only.flips) == (1.0, None, False)


def test_a_neighbour_is_another_phrase_that_the_tower_puts_near() -> None:
    params = load_params("looks", profile="smoke", overlays=("methods/mase",))
    ((first, *_),) = nearest(params, "image", ["Dog"], ["dog", "small dog", "stock market", "tax law"], 3)
    assert first[0] == "small dog"
    assert -1 <= first[1] <= 1


def test_what_cannot_be_explained_says_why() -> None:
    unit = kept("methods/text")
    with pytest.raises(DataError, match="takes no second text, not 1; see --text-b"):
        explain(unit.folder, TEXT, ["more"])
    with pytest.raises(MissingWeightsError, match="keep_model"):
        explain(unit.folder / "state", TEXT)
    assert np.isfinite(explain(unit.folder, TEXT).answer.probabilities["warm"])
