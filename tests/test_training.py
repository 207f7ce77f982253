"""A trained model beyond its unit: saved and loaded again, and evaluated in float32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mase.errors import MissingWeightsError, ParamsError
from mase.model import MaseModel
from mase.params import load_params
from mase.prediction import Predictor
from mase.training import assemble
from mase.units import Unit, train
from tests.planted import predict_logits


@pytest.fixture(scope="module")
def unit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small unit and keep its model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(tmp_path_factory.mktemp("home")))
        params = load_params("looks", profile="smoke", overrides=("training.max_steps=2",))
        return train(Unit(params, "small"), keep_model=True).folder


def test_a_model_goes_through_a_folder_and_back(unit_folder: Path, tmp_path: Path) -> None:
    model = MaseModel.from_pretrained(unit_folder)
    model.save_pretrained(tmp_path / "copy")
    texts = ["A red bus passes a small dog."]
    before, after = (Predictor.load(f).predict(texts)[0] for f in (unit_folder, tmp_path / "copy"))
    assert before == after
    with torch.no_grad():
        model.head.output.bias.add_(torch.tensor([3.0, -3.0]))
    model.save_pretrained(tmp_path / "changed")
    assert Predictor.load(tmp_path / "changed").predict(texts)[0].probabilities != before.probabilities


def test_a_model_that_was_not_loaded_cannot_be_saved_alone(unit_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="no params.yaml"):
        MaseModel.from_pretrained(tmp_path)
    model = MaseModel.from_pretrained(unit_folder)
    model.reading = None
    with pytest.raises(ParamsError, match="not loaded with from_pretrained"):
        model.save_pretrained(tmp_path)


def test_a_unit_trained_in_bfloat16_is_evaluated_in_float32() -> None:
    """Predictions do not depend on the batch size, nor E-steps on autocast: only training rounds."""
    settings = ("training.precision=bf16", "data.max_train_rows=64", "data.max_eval_rows=40")
    run = assemble(load_params("looks", profile="smoke", overrides=settings))
    assert run.model.backbone.autocast is torch.bfloat16
    large, small = (predict_logits(run.model, run.evaluation, size) for size in (40, 3))
    torch.testing.assert_close(large, small, atol=1e-5, rtol=0.0)
    run.model.backbone.autocast = None
    assert torch.equal(predict_logits(run.model, run.evaluation, 40), large)
    batch = run.train.batch(np.arange(16))
    states = {}
    for dtype in (None, torch.bfloat16):
        run.model.backbone.autocast = dtype
        run.model.backbone.train()
        torch.manual_seed(0)
        states[dtype] = run.model.backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    assert not torch.equal(states[None], states[torch.bfloat16]), "training does round"
