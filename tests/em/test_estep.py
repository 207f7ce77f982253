"""E-step answers in row order and evaluation mode, and the slice's likelihood in nats."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mase.em.estep import SliceOutput, answers, e_step, log_likelihood
from mase.em.mstep import m_step_losses
from mase.methods import build_model
from mase.model.mase import MaseModel
from tests.planted import plant, planted_params, predict_logits


def regression_model(*overrides: str, preset: str | None = None) -> MaseModel:
    """Return a model whose head has mean 2.5 and deviation 2."""
    params = planted_params(*overrides, preset=preset, family="regression")
    model = build_model(params, plant(params, "image", rows=8).fitted)
    assert isinstance(model, MaseModel)
    model.head.deviation.fill_(2.0)
    return model


def output_of(logits: list[float], **mixture: torch.Tensor) -> SliceOutput:
    none = torch.zeros(len(logits), 1, 1)
    return SliceOutput(torch.tensor(logits).unsqueeze(1), none, none, none, **mixture)


def test_answers_come_in_the_rows_order_without_dropout():
    params = planted_params("head.dropout=0.9", "allocation.head=probe")
    planted = plant(params, "image")
    model = build_model(params, planted.fitted).train()
    assert isinstance(model, MaseModel)
    rows = planted.estimation
    assert len(set(rows.lengths)) > 3, "evaluation batches are sorted by length"
    found = answers(model, rows, 32)
    expected = model.eval()(rows.batch(np.arange(len(rows))))
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.features, expected.post, atol=1e-5, rtol=0)
    logits = predict_logits(model, rows.inputs, 32)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)


def test_the_likelihood_of_scores_by_hand():
    """Deviation 2: errors of 2 and 4 are 1 and 2 deviations, -0.5 and -2 nats before the constants."""
    found = log_likelihood(output_of([3.0, 5.0]), torch.tensor([1.0, 1.0]), regression_model())
    assert found == pytest.approx(-1.25 - math.log(2.0) - 0.5 * math.log(2 * math.pi))


def test_the_likelihood_of_a_mixture_of_scores_by_hand():
    """Sigma is 2 * 0.5 = 1: log(0.75 N(0) + 0.25 N(2)) of a standard normal N."""
    model = regression_model(preset="em")
    assert model.log_sigma is not None
    torch.nn.init.constant_(model.log_sigma, math.log(0.5))
    mixture = {
        "modality_logits": torch.tensor([[[3.0], [5.0]]]),
        "gate": torch.tensor([[0.75, 0.25]]).log(),
    }
    found = log_likelihood(output_of([0.0], **mixture), torch.tensor([3.0]), model)
    expected = math.log((0.75 + 0.25 * math.exp(-2.0)) / math.sqrt(2 * math.pi))
    assert found == pytest.approx(expected)


def test_the_likelihood_of_classes_by_hand():
    params = planted_params()
    model = build_model(params, plant(params, "image", rows=8).fitted)
    assert isinstance(model, MaseModel)
    none = torch.zeros(2, 1, 1)
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # 3/4 and 1/2 for class 0
    found = log_likelihood(SliceOutput(logits, none, none, none), torch.tensor([0, 1]), model)
    assert found == pytest.approx(0.5 * math.log(0.75 * 0.5))


@pytest.mark.parametrize("preset", ["sound", "em"])
@pytest.mark.parametrize("family", ["classification", "regression"])
def test_the_objective_of_an_e_step_is_the_likelihood_of_its_rows(family, preset):
    params = planted_params(preset=preset, family=family)
    planted = plant(params, "image")
    model = build_model(params, planted.fitted)
    assert isinstance(model, MaseModel)
    rows = planted.estimation
    found = e_step(model, rows, planted.train, None).objective
    expected = log_likelihood(answers(model, rows, 64), rows.labels, model)
    assert found == pytest.approx(expected)


def test_the_regression_loss_by_hand():
    """Mean 2.5 and deviation 2: errors of 4 and -2 are 2 and -1 deviations; (4 + 1) / 2."""
    model = regression_model("contrastive.alpha=0")
    output = SimpleNamespace(logits=torch.tensor([[5.0], [3.0]]), contrastive=torch.zeros(2, 4, 1))
    labels = torch.tensor([1.0, 5.0])
    losses = m_step_losses(output, labels, None, model.params, model)  # type: ignore[arg-type]
    assert losses["task"].item() == losses["total"].item() == 2.5


def test_the_mixture_s_regression_loss_by_hand():
    """In deviations, sigma 1: one modality is right, the other 1 off; in halves."""
    model = regression_model("contrastive.alpha=0", preset="em")
    output = SimpleNamespace(
        gate=torch.tensor([[0.5, 0.5]]).log(),
        modality_logits=torch.tensor([[[1.0], [3.0]]]),
        contrastive=torch.zeros(1, 2, 1),
    )
    losses = m_step_losses(output, torch.tensor([1.0]), None, model.params, model)  # type: ignore[arg-type]
    density = 0.5 * (1 + math.exp(-0.5)) / math.sqrt(2 * math.pi)
    assert losses["task"].item() == pytest.approx(-math.log(density))
