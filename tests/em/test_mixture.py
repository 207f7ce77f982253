"""The `em` preset: the prior z is part of every prediction, and EM on it is monotone."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from mase.em import estep
from mase.em.estep import EStep, Labelled, e_step, store
from mase.em.losses import log_likelihoods, responsibilities
from mase.methods import build_model
from mase.model.batch import Batch
from mase.model.mase import MaseModel
from mase.params import Params
from tests.planted import plant, planted_params, predict_logits, trained


def em_params(*overrides: str) -> Params:
    return planted_params(*overrides, preset="em")


def test_the_planted_modality_gets_the_responsibility():
    params = em_params("training.epochs=10")
    planted = plant(params, "video")
    model, weights = trained(params, planted)
    assert max(weights[-1], key=weights[-1].__getitem__) == "video"
    predictions = predict_logits(model, planted.test.inputs, 64).argmax(1)
    assert (predictions == planted.test.labels).float().mean() > 0.85


def test_without_self_balancing_the_predictions_are_other_ones():
    found = {}
    for mode in ("information", "fixed"):
        params = em_params(f"allocation.mode={mode}")
        planted = plant(params, "video")
        model, weights = trained(params, planted)
        found[mode] = predict_logits(model, planted.test.inputs, 64)
    assert list(weights[-1].values()) == [0.25] * 4, "fixed"
    assert (found["information"] - found["fixed"]).abs().max() > 0.05


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_the_stored_prior_reaches_the_prediction(family):
    params = planted_params(preset="em", family=family)
    planted = plant(params, "video")
    model = build_model(params, planted.fitted)
    assert isinstance(model, MaseModel)
    model.eval()
    rows = planted.test.batch(np.arange(20))
    model.allocation.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    output = model(rows)
    alone = model.modality_logits(output.post)[:, 3]
    expected = alone if family == "regression" else alone.log_softmax(-1)
    torch.testing.assert_close(output.logits, expected)


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_the_first_update_is_the_mean_responsibility_of_the_mixture_s_own_experts(family, monkeypatch):
    """The gate starts at 0; what each modality would say under Eq. 1 is another question, not asked."""
    params = planted_params(preset="em", family=family)
    planted = plant(params, "video")
    model = build_model(params, planted.fitted)
    assert isinstance(model, MaseModel) and model.log_sigma is not None
    with torch.no_grad():
        model.log_sigma.fill_(-0.4)
    rows = planted.estimation
    output = model.eval()(rows.batch(np.arange(len(rows))))
    if family == "regression":
        residual = (rows.labels[:, None] - output.modality_logits.squeeze(-1)) / model.head.deviation
        likelihoods = (-0.5 * (residual / np.exp(-0.4)).square()).exp()
    else:
        likelihoods = output.modality_logits.softmax(-1)[torch.arange(len(rows)), :, rows.labels]
    expected = (likelihoods / likelihoods.sum(1, keepdim=True)).mean(0)
    monkeypatch.setattr(MaseModel, "modality_logits", lambda _, features: -output.modality_logits)
    rows_of_slice = dataclasses.replace(rows, rows=np.arange(len(rows)))
    found = e_step(model, rows_of_slice, planted.train, None).allocation
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found - 0.25).abs().max() > 1e-3


def test_with_a_gate_the_update_is_one_step_of_generalised_iterative_scaling():
    """g_new ~ g * mean r / mean g, and z is the mean responsibility."""
    em = FullBatchEM()
    with torch.no_grad():
        before = em.model(em.batch)
        posterior = responsibilities(before.gate, before.modality_logits, em.labels).mean(0)
        scaled = before.gate + posterior.log() - before.gate.exp().mean(0).log()
        em.e_step()
        torch.testing.assert_close(em.model.allocation, posterior, atol=1e-6, rtol=0)
        torch.testing.assert_close(em.model(em.batch).gate, scaled.log_softmax(-1), atol=1e-5, rtol=0)
    assert (em.model.allocation - 0.25).abs().max() > 0.01


def test_floor_and_memory_hold_for_the_prior_too():
    planted = plant(em_params(), "video")
    plain, floored, kept = (
        e_step(build_model(em_params(*o), planted.fitted), planted.estimation, planted.train, None).allocation  # type: ignore[arg-type]
        for o in ([], ["allocation.floor=0.1"], ["allocation.ema=0.5"])
    )
    torch.testing.assert_close(floored, 0.6 * plain + 0.1)
    torch.testing.assert_close(kept, 0.5 * plain + 0.125)


def no_prior(gate: Tensor, outputs: Tensor, labels: Tensor, *, sigma: Tensor | None = None) -> Tensor:
    """Weigh the likelihoods as if all modalities were equally likely before the label was seen."""
    return responsibilities(torch.zeros_like(gate), outputs, labels, sigma=sigma)


def other_modality(gate: Tensor, outputs: Tensor, labels: Tensor, *, sigma: Tensor | None = None) -> Tensor:
    """Give each modality the responsibility of its neighbour."""
    return responsibilities(gate, outputs, labels, sigma=sigma).roll(1, dims=-1)


def twice_the_gate(gate: Tensor, outputs: Tensor, labels: Tensor, *, sigma: Tensor | None = None) -> Tensor:
    """Count the prior twice."""
    return responsibilities(2 * gate, outputs, labels, sigma=sigma)


class FullBatchEM:
    """E-steps and M-steps of the `em` preset on one batch, without dropout, in float64."""

    def __init__(self) -> None:
        params = em_params("contrastive.alpha=0", "training.eval_batch_size=64", "head.dropout=0")
        self.rows: Labelled = plant(params, "video", rows=64).train
        model = build_model(params, plant(params, "video").fitted)
        assert isinstance(model, MaseModel) and model.mixture_gate is not None
        self.model = model.double().eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():  # a gate that has learnt something, so that g is not z
            torch.nn.init.normal_(model.mixture_gate.weight, std=0.3, generator=generator)
        self.batch: Batch = self.rows.batch(np.argsort(self.rows.lengths, kind="stable"))
        self.labels = self.rows.labels_of(np.argsort(self.rows.lengths, kind="stable"))
        self.parameters = [p for p in model.parameters() if p.requires_grad]

    @torch.no_grad()
    def log_likelihood(self) -> float:
        """Return the mean log p(y | x), from the model's predictions."""
        log_probabilities = self.model(self.batch).logits
        return -float(torch.nn.functional.nll_loss(log_probabilities, self.labels))

    def e_step(self) -> None:
        found = e_step(self.model, self.rows, self.rows, None)
        assert found.objective == pytest.approx(self.log_likelihood(), abs=1e-7)
        store(self.model, found)

    def m_step(self) -> None:
        """Climb Q, the expected joint log likelihood under fixed responsibilities, with a line search."""
        with torch.no_grad():
            output = self.model(self.batch)
            posterior = estep.responsibilities(output.gate, output.modality_logits, self.labels)

        def expected() -> Tensor:
            output = self.model(self.batch)
            joint = output.gate + log_likelihoods(output.modality_logits, self.labels)
            return (posterior * joint).sum(-1).mean()

        for _ in range(4):
            value = expected()
            gradients = torch.autograd.grad(value, self.parameters, allow_unused=True)
            self._climb(float(value.detach()), gradients, expected)

    @torch.no_grad()
    def _climb(
        self, value: float, gradients: tuple[Tensor | None, ...], expected: Callable[[], Tensor]
    ) -> None:
        before, size = [p.clone() for p in self.parameters], 1.0
        while size > 1e-6:
            for parameter, old, gradient in zip(self.parameters, before, gradients, strict=True):
                parameter.copy_(old if gradient is None else old + size * gradient)
            if float(expected()) >= value:
                return
            size /= 2
        for parameter, old in zip(self.parameters, before, strict=True):
            parameter.copy_(old)

    def growth(self) -> list[float]:
        """Return what each E-step and each M-step added to the mean log likelihood, in nats."""
        values = [self.log_likelihood()]
        for step in [self.e_step, self.e_step, self.e_step, self.m_step] * 4:
            step()
            values.append(self.log_likelihood())
        return [after - before for before, after in pairwise(values)]


def test_em_never_lowers_the_likelihood_of_the_model():
    growth = FullBatchEM().growth()
    assert min(growth) > -1e-9
    assert sum(growth) > 0.05


@pytest.mark.parametrize("wrong", [no_prior, other_modality, twice_the_gate])
def test_with_wrong_responsibilities_it_does_go_down(wrong, monkeypatch):
    monkeypatch.setattr(estep, "responsibilities", wrong)
    assert min(FullBatchEM().growth()) < -1e-5


def test_with_the_update_of_a_mixture_without_a_gate_it_does_go_down(monkeypatch):
    """The mean responsibility is right for a prior that is the mean of the gate, which `store` sees to."""

    stored = store

    def without_centre(model: MaseModel, found: EStep) -> None:
        stored(model, dataclasses.replace(found, gate_centre=None))

    monkeypatch.setitem(globals(), "store", without_centre)
    assert min(FullBatchEM().growth()) < -1e-5
