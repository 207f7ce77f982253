"""Each family's loss, likelihood, mixture, information and predictions, against hand-worked values."""

import math

import numpy as np
import pytest
import torch

from mase.em.losses import log_likelihoods, mixture_loss
from mase.errors import ParamsError
from mase.families import FAMILIES, Classification, MultipleChoice, Regression, family_of
from mase.model.heads import Head
from mase.params import HeadParams, TaskParams


def task(family: str, **settings: object) -> TaskParams:
    base: dict[str, object] = {"name": "t", "title": "T", "family": family, "embedded": "looks"}
    base |= {
        "classification": {"labels": ["no", "yes"], "metrics": ["accuracy"], "main_metric": "accuracy"},
        "regression": {"label_range": [0, 5], "metrics": ["pearson"], "main_metric": "pearson"},
        "multiple_choice": {
            "options": 4,
            "labels": list("ABCD"),
            "metrics": ["accuracy"],
            "main_metric": "accuracy",
        },
    }[family]
    return TaskParams.model_validate(base | settings)


def head(mean: float = 0.0, deviation: float = 1.0, outputs: int = 1) -> Head:
    return Head(4, outputs, HeadParams(), mean, deviation)


@pytest.mark.parametrize(("family", "outputs", "answers"), [
    ("classification", 2, 2), ("regression", 1, 1), ("multiple_choice", 1, 4),
])  # fmt: skip
def test_the_numbers_of_a_text_row_and_of_an_example(family: str, outputs: int, answers: int) -> None:
    chosen = task(family)
    assert family_of(chosen) is FAMILIES[family]
    assert (family_of(chosen).outputs(chosen), family_of(chosen).answers(chosen)) == (outputs, answers)


def test_classification_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    expected = -(math.log(0.75) + math.log(0.5)) / 2
    assert float(Classification().loss(logits, torch.tensor([1, 0]), head())) == pytest.approx(expected)


def test_regression_loss_is_in_units_of_the_labels_deviation() -> None:
    scores, labels = torch.tensor([[2.0], [1.0]]), torch.tensor([1.0, 4.0])
    assert float(Regression().loss(scores, labels, head())) == pytest.approx(5.0)
    assert float(Regression().loss(scores, labels, head(3.0, 2.0))) == pytest.approx(5.0 / 4)


def test_a_scores_density_is_per_label_unit_or_standardised() -> None:
    alone, labels, scale = torch.tensor([[[2.0]], [[1.0]]]), torch.tensor([1.0, 4.0]), head(1.0, 2.0)
    log_sigma = torch.tensor(math.log(0.5))
    plain = Regression().likelihood(alone, labels, scale, log_sigma, standardised=False)
    units = Regression().likelihood(alone, labels, scale, log_sigma, standardised=True)
    ours, standard = (log_likelihoods(t.outputs, t.targets, t.sigma) for t in (plain, units))
    # the deviation is 0.5 in standardised units, so 1 label unit; errors are 1 and 3 label units
    expected = [-0.5 * e**2 - 0.5 * math.log(2 * math.pi) for e in (1.0, 3.0)]
    assert ours.squeeze(1).tolist() == pytest.approx(expected)
    assert (standard - ours).squeeze(1).tolist() == pytest.approx([math.log(2.0)] * 2)
    without = Regression().likelihood(alone, labels, scale, None, standardised=False)
    assert without.sigma is not None and float(without.sigma) == 2.0


@pytest.mark.parametrize("family", [Classification(), MultipleChoice()])
def test_the_mixture_of_classes_is_a_mixture_of_probabilities(family: Classification) -> None:
    shares = torch.tensor([[[0.9, 0.1], [0.2, 0.8]]])
    gate = torch.tensor([[0.25, 0.75]])
    mixed = family.mixture(gate.log(), shares.log() + 3.0)
    assert mixed.exp()[0].tolist() == pytest.approx([0.25 * 0.9 + 0.75 * 0.2, 0.25 * 0.1 + 0.75 * 0.8])
    terms = family.likelihood(shares.log(), torch.tensor([1]), head(), None, standardised=True)
    loss = mixture_loss(gate.log(), terms.outputs, terms.targets, sigma=terms.sigma)
    assert float(loss) == pytest.approx(-math.log(0.625))


def test_the_mixture_of_scores_is_their_mean() -> None:
    mixed = Regression().mixture(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([[[4.0], [0.0]]]))
    assert mixed.tolist() == [[1.0]]


def test_predictions_are_a_class_with_shares_or_a_score_within_range() -> None:
    columns = Classification().predictions(task("classification"), np.log([[0.25, 0.75]]))
    assert columns["prediction"].tolist() == [1]
    assert [columns[f"probability_{k}"][0] for k in (0, 1)] == pytest.approx([0.25, 0.75])
    scores = Regression().predictions(task("regression"), np.array([[-1.0], [2.5], [7.0]]))
    assert {k: v.tolist() for k, v in scores.items()} == {"prediction": [0.0, 2.5, 5.0]}


def test_choices_are_positions_without_a_prior_of_their_own() -> None:
    """All right answers stand first: knowing that is not information about the choices."""
    generator = np.random.default_rng(0)
    chosen, noise = task("multiple_choice"), torch.from_numpy(generator.normal(size=(400, 4)))
    first = torch.zeros(400, dtype=torch.long)
    family = MultipleChoice()
    prior = family.prior(chosen, first)
    assert prior is not None and prior.tolist() == [0.25] * 4
    for calibrate in (True, False):
        assert family.information(noise, first, calibrate=calibrate, prior=prior).value < 0.01
    constant = torch.tensor([3.0, 0.0, 0.0, 0.0]).expand(400, 4)  # the head prefers position 0 by itself
    labels = torch.from_numpy(generator.integers(0, 4, 400))
    assert family.information(constant, labels, calibrate=True, prior=prior).value < 0.02


def test_information_of_choices_is_what_the_scores_tell_up_to_log_c() -> None:
    generator = np.random.default_rng(1)
    labels = torch.from_numpy(generator.integers(0, 4, 400))
    told = torch.nn.functional.one_hot(labels, 4).double() * 50
    found = MultipleChoice().information(told, labels, calibrate=True, prior=None)
    assert math.log(4) - 0.1 < found.value <= math.log(4)
    half = told.clone()
    half[200:] = 0.0  # tells everything for one half of the questions, nothing for the other
    raw = MultipleChoice().information(
        half, labels, calibrate=False, prior=torch.full((4,), 0.25, dtype=torch.float64)
    )
    assert raw.value == pytest.approx(math.log(4) / 2, abs=1e-6)


def test_a_choice_has_no_probe() -> None:
    features = np.zeros((4, 2))
    with pytest.raises(ParamsError, match="probe does not fit task t"):
        MultipleChoice().probe(task("multiple_choice"), features, np.zeros(4, np.int64), features)
