"""Information per target, calibrated by mixing with the constant predictor."""

import math

import numpy as np
import pytest
import torch

from mase.em.interpolation import fitted_weight, interpolated_information
from mase.errors import TrainingError

CLASSES = 8


def answers(reliable: float, *, count: int = 400, length: int = 3, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return told, constant and mask: a share `reliable` of the targets has p = 0.9, the rest 0.01."""
    generator = np.random.default_rng(seed)
    right = generator.random((count, length)) < reliable
    told = torch.from_numpy(np.log(np.where(right, 0.9, 0.01)))
    mask = torch.from_numpy(generator.integers(1, length + 1, count)[:, None] > np.arange(length))
    return told, torch.full((count, length), -math.log(CLASSES), dtype=torch.float64), mask


def test_a_reliable_modality_tells_what_it_knows() -> None:
    told, constant, mask = answers(1.0)
    found = interpolated_information(told, constant, mask)
    assert found.value == pytest.approx(math.log(0.9 * CLASSES), abs=1e-3)


def test_an_overconfident_modality_is_calibrated_and_not_clamped() -> None:
    told, constant, mask = answers(0.5)
    raw = interpolated_information(told, constant, mask, calibrate=False)
    found = interpolated_information(told, constant, mask)
    right = float((told[mask] > -1).double().mean())
    best = max(
        right * math.log(w * 0.9 * CLASSES + 1 - w) + (1 - right) * math.log(w * 0.01 * CLASSES + 1 - w)
        for w in np.linspace(0, 0.999, 1000)
    )
    assert raw.raw < 0 < found.value
    assert found.value == pytest.approx(best, abs=0.01)


def test_a_modality_that_is_worse_than_nothing_tells_nothing() -> None:
    told, constant, mask = answers(0.02)
    assert interpolated_information(told, constant, mask).value < 0.01
    assert fitted_weight(np.full(50, math.log(0.01)), np.full(50, -math.log(CLASSES))) == 0.0


def test_order_and_padding_do_not_count() -> None:
    told, constant, mask = answers(0.6)
    found = interpolated_information(told, constant, mask)
    order = torch.randperm(len(told), generator=torch.Generator().manual_seed(1))
    padded = [
        torch.nn.functional.pad(part, (0, 2), value=value) for part, value in ((told, 7.0), (constant, 7.0))
    ]
    longer = torch.nn.functional.pad(mask, (0, 2), value=False)
    assert interpolated_information(told[order], constant[order], mask[order]) == found
    assert interpolated_information(padded[0], padded[1], longer).raw == pytest.approx(found.raw, abs=1e-12)


def test_the_standard_error_is_over_examples() -> None:
    told, constant, mask = answers(0.6, length=1)
    alone = interpolated_information(told, constant, mask, calibrate=False)
    copies = [part.repeat(1, 4) for part in (told, constant, mask)]
    again = interpolated_information(*copies, calibrate=False)
    assert again.standard_error == pytest.approx(alone.standard_error)


@pytest.mark.parametrize("value", [float("nan"), 0.5])
def test_what_is_no_probability_is_refused(value: float) -> None:
    told, constant, mask = answers(0.6)
    told[0, 0] = value
    with pytest.raises(TrainingError, match="not finite, or above 0"):
        interpolated_information(told, constant, mask)
    with pytest.raises(TrainingError, match="no target"):
        interpolated_information(constant, constant, torch.zeros_like(mask))
