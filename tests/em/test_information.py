import math

import numpy as np
import pytest
import torch
from torch import nn

from mase.em.information import Information, classification_information, regression_information
from mase.errors import TrainingError

LOG2 = math.log(2)


def binary_channel(flip: float, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior logits and labels of a binary symmetric channel with a fair input."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, rows)
    received = labels ^ (generator.random(rows) < flip)
    evidence = math.log((1 - flip) / flip)
    logits = np.stack(
        [np.where(received == 0, evidence, 0.0), np.where(received == 1, evidence, 0.0)], axis=1
    )
    return torch.from_numpy(logits), torch.from_numpy(labels)


def capacity(flip: float) -> float:
    return LOG2 + flip * math.log(flip) + (1 - flip) * math.log(1 - flip)


@pytest.mark.parametrize("calibrate", [True, False])
@pytest.mark.parametrize("flip", [0.05, 0.11, 0.4])
def test_binary_symmetric_channel_has_its_capacity(flip, calibrate):
    logits, labels = binary_channel(flip, 20_000, seed=1)
    found = classification_information(logits, labels, calibrate=calibrate, prior=torch.tensor([0.5, 0.5]))
    assert abs(found.raw - capacity(flip)) < 3 * found.standard_error
    assert 0 < found.standard_error < 0.01


def coverage(estimates: list[Information], truth: float) -> float:
    return float(np.mean([abs(e.raw - truth) <= 2 * e.standard_error for e in estimates]))


@pytest.mark.parametrize("calibrate", [True, False])
def test_standard_error_is_honest_with_50_rows_of_a_channel(calibrate):
    prior = None if calibrate else torch.tensor([0.5, 0.5])
    estimates = []
    for seed in range(200):
        logits, labels = binary_channel(0.11, 50, seed)
        estimates.append(classification_information(logits, labels, calibrate=calibrate, prior=prior))
    assert coverage(estimates, capacity(0.11)) >= 0.85
    spread = np.std([e.raw for e in estimates])
    assert 0.7 < np.mean([e.standard_error for e in estimates]) / spread < 1.4


def gaussian_channel(snr: float, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Best linear predictions and the labels they predict; the information is 0.5 log(1 + snr)."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=rows) * math.sqrt(snr)
    return torch.from_numpy(signal), torch.from_numpy(signal + generator.normal(size=rows))


@pytest.mark.parametrize("calibrate", [True, False])
@pytest.mark.parametrize("snr", [0.1, 1.0, 10.0])
def test_gaussian_channel_has_half_log_one_plus_snr(snr, calibrate):
    found = regression_information(*gaussian_channel(snr, 20_000, seed=2), calibrate=calibrate)
    assert abs(found.raw - 0.5 * math.log1p(snr)) < 3 * found.standard_error
    assert 0 < found.standard_error < 0.02


@pytest.mark.parametrize("calibrate", [True, False])
def test_standard_error_is_honest_with_50_rows_of_a_gaussian(calibrate):
    runs = [regression_information(*gaussian_channel(1.0, 50, s), calibrate=calibrate) for s in range(200)]
    assert coverage(runs, 0.5 * LOG2) >= 0.85


def test_overconfident_logits_recover_with_calibration_and_clamp_to_zero_without():
    logits, labels = binary_channel(0.2, 4_000, seed=3)
    raw = classification_information(20 * logits, labels, calibrate=False)
    assert raw.raw < 0 and raw.value == 0.0
    calibrated = classification_information(20 * logits, labels, calibrate=True)
    assert abs(calibrated.value - capacity(0.2)) < 3 * calibrated.standard_error
    biased = classification_information(20 * logits + torch.tensor([7.0, -7.0]), labels, calibrate=True)
    assert biased.value == pytest.approx(calibrated.value, abs=1e-6)


def test_badly_scaled_predictions_recover_with_calibration_and_clamp_to_zero_without():
    predictions, labels = gaussian_channel(1.0, 4_000, seed=4)
    assert regression_information(9 * predictions + 5, labels, calibrate=False).value == 0.0
    plain = regression_information(predictions, labels, calibrate=True)
    assert regression_information(9 * predictions + 5, labels, calibrate=True).raw == pytest.approx(plain.raw)


@pytest.mark.parametrize("rows", [50, 500, 5_000])
def test_noise_tells_next_to_nothing(rows):
    generator = torch.Generator().manual_seed(rows)
    estimates = []
    for _ in range(20):
        labels = torch.randint(3, (rows,), generator=generator)
        logits = 3 * torch.randn(rows, 3, generator=generator)
        estimates.append(classification_information(logits, labels, calibrate=True).raw)
        scores, guesses = torch.randn(2, rows, generator=generator)
        estimates.append(regression_information(guesses, scores, calibrate=True).raw)
    assert np.mean(estimates) < 0.5 / rows
    assert max(estimates) < 5 / rows + 0.001


@pytest.mark.parametrize("calibrate", [True, False])
def test_constant_labels_carry_no_information(calibrate):
    logits, _ = binary_channel(0.2, 40, seed=5)
    labels = torch.zeros(40, dtype=torch.int64)
    assert classification_information(logits, labels, calibrate=calibrate).value == 0.0
    found = regression_information(logits[:, 0], torch.full((40,), 0.1), calibrate=calibrate)
    assert found == Information(0.0, 0.0, 0.0)


@pytest.mark.parametrize("rows", [2, 3, 5, 20])
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e4])
@pytest.mark.parametrize("calibrate", [True, False])
def test_degenerate_inputs_stay_finite(rows, scale, calibrate):
    generator = torch.Generator().manual_seed(rows)
    logits = scale * torch.sign(torch.randn(rows, 3, generator=generator, dtype=torch.float64))
    for labels in (torch.randint(3, (rows,), generator=generator), torch.full((rows,), 2), logits.argmax(-1)):
        found = classification_information(logits, labels, calibrate=calibrate)
        assert all(math.isfinite(x) for x in (found.value, found.standard_error, found.raw))
        assert found.value == (found.raw if found.raw > 1e-9 else 0.0)
        score = labels.double()
        for guesses in (logits[:, 0], score, torch.zeros(rows)):
            guessed = regression_information(guesses, score, calibrate=calibrate)
            assert all(math.isfinite(x) for x in (guessed.value, guessed.standard_error, guessed.raw))


def test_constant_logits_calibrate_to_exactly_nothing():
    labels = torch.arange(20) % 3
    found = classification_information(torch.full((20, 3), 4.0), labels, calibrate=True)
    assert found.value == 0.0  # exactly, or Eq. 11 would normalise rounding errors
    assert abs(found.raw) < 1e-12 and found.standard_error < 1e-12


def test_a_perfect_head_tells_nearly_all_of_the_label_entropy():
    labels = torch.arange(300) % 3
    found = classification_information(nn.functional.one_hot(labels).float(), labels, calibrate=True)
    assert 0.95 * math.log(3) < found.value < math.log(3)


@pytest.mark.parametrize("calibrate", [True, False])
def test_order_of_rows_does_not_matter(calibrate):
    generator = torch.Generator().manual_seed(6)
    logits, labels = binary_channel(0.2, 301, seed=6)
    logits = logits + torch.randn(logits.shape, generator=generator)
    order = torch.randperm(301, generator=generator)
    first = classification_information(logits, labels, calibrate=calibrate)
    assert classification_information(logits[order], labels[order], calibrate=calibrate) == first
    scores = labels + torch.randn(301, generator=generator)
    first = regression_information(logits[:, 1], scores, calibrate=calibrate)
    assert regression_information(logits[order, 1], scores[order], calibrate=calibrate) == first


def test_equation_10_by_hand_with_the_training_prior():
    logits = torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log()
    found = classification_information(
        logits, torch.tensor([0, 1]), calibrate=False, prior=torch.tensor([0.75, 0.25])
    )
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert found.raw == pytest.approx(entropy + (math.log(0.9) + math.log(0.4)) / 2, abs=1e-6)
    assert found.standard_error == pytest.approx(abs(math.log(0.9) - math.log(0.4)) / 2, abs=1e-6)


def test_gaussian_information_by_hand():
    found = regression_information(torch.tensor([0.5, 3.5]), torch.tensor([0.0, 4.0]), calibrate=False)
    assert found.raw == pytest.approx(0.5 * math.log(4 / 0.25))


def test_a_head_overfitted_on_noise_seems_informative_on_its_training_rows_only():
    torch.manual_seed(7)
    features, labels = torch.randn(400, 50), torch.randint(2, (400,))
    train, held_out = slice(0, 100), slice(100, 400)
    head = nn.Sequential(nn.Linear(50, 64), nn.ReLU(), nn.Linear(64, 2))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        nn.functional.cross_entropy(head(features[train]), labels[train]).backward()
        optimiser.step()
    for calibrate in (True, False):
        seen = classification_information(head(features[train]), labels[train], calibrate=calibrate)
        unseen = classification_information(head(features[held_out]), labels[held_out], calibrate=calibrate)
        assert seen.value > 0.8 * LOG2
        assert unseen.value < 0.02


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), "two rows"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), "one label each"),
        (torch.tensor([[0.0, math.nan], [0.0, 0.0]]), torch.zeros(2, dtype=torch.int64), "not finite"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), r"must be in 0\.\.1, got 0\.\.2"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(logits, labels, message):
    with pytest.raises(TrainingError, match=message):
        classification_information(logits, labels, calibrate=True)


def test_a_prior_that_is_no_distribution_is_refused():
    logits, labels = binary_channel(0.2, 10, seed=8)
    with pytest.raises(TrainingError, match="sum to one"):
        classification_information(logits, labels, calibrate=False, prior=torch.tensor([0.5, 0.4]))
