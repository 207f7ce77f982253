import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from mase.em.allocation import (
    collapsed,
    normalised_information,
    updated_allocation,
)
from mase.errors import ParamsError, TrainingError

nats = st.floats(0.0, 1e300, allow_nan=False, allow_infinity=False)
informations = st.integers(1, 6).flatmap(lambda m: numpy_strategies.arrays("float64", m, elements=nats))


def test_equation_11_by_hand():
    shares = normalised_information(torch.tensor([0.3, 0.1, 0.0, 0.1], dtype=torch.float64))
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.2, 0.0, 0.2], dtype=torch.float64))


def test_no_information_anywhere_is_uniform():
    shares = normalised_information(torch.zeros(3, dtype=torch.float64))
    assert shares.tolist() == [1 / 3] * 3


def test_update_by_hand():
    # normalised (0.75, 0.25); 0.96 * that + 0.02 = (0.74, 0.26); half of it and half of (0.5, 0.5)
    previous, information = torch.tensor([0.5, 0.5]), torch.tensor([0.3, 0.1])
    updated = updated_allocation(previous, information, floor=0.02, ema=0.5)
    torch.testing.assert_close(updated, torch.tensor([0.62, 0.38]))
    plain = updated_allocation(previous, information, floor=0.0, ema=0.0)
    torch.testing.assert_close(plain, torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(updated_allocation(previous, information, floor=0.0, ema=1.0), previous)


def learner_series(floor: float, ema: float, iterations: int = 10) -> list[float]:
    """Weight of a modality that tells nothing before iteration 5, and then only if it was trained.

    What it knows is 0.4 nats times how far its weight has let it train: nothing at weight 0.
    """
    weights, path = torch.full((4,), 0.25), []
    for iteration in range(1, iterations + 1):
        knows = 0.4 * min(1.0, float(weights[2]) / 0.02) if iteration > 5 else 0.0
        weights = updated_allocation(weights, torch.tensor([0.4, 0.2, knows, 0.2]), floor=floor, ema=ema)
        path.append(float(weights[2]))
    return path


def test_a_modality_useless_until_iteration_5_recovers_by_10():
    path = learner_series(floor=0.02, ema=0.5)
    assert 0.02 <= path[4] < 0.03
    assert path[9] > 0.9 * (0.92 / 3 + 0.02)  # its fair share of 0.4, 0.2, 0.4, 0.2


def test_without_the_floor_it_never_comes_back():
    assert learner_series(floor=0.0, ema=0.0)[4:] == [0.0] * 6


def test_collapse_is_seen():
    assert collapsed(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert collapsed(torch.tensor([0.94, 0.02, 0.02, 0.02]), floor=0.02)
    assert not collapsed(torch.tensor([0.4, 0.3, 0.2, 0.1]), floor=0.02)
    assert not collapsed(torch.tensor([1.0]))
    assert not collapsed(torch.full((4,), 0.25), floor=0.25)


@given(informations)
def test_equation_11_gives_a_simplex_vector_in_the_order_of_the_information(values):
    information = torch.from_numpy(values)
    shares = normalised_information(information)
    assert math.isclose(float(shares.sum()), 1.0, abs_tol=1e-12)
    assert bool((shares >= 0).all())
    order = torch.argsort(information)
    assert bool((shares[order].diff() >= -1e-15).all())


@given(informations, st.floats(1e-3, 1e3))
def test_equation_11_does_not_depend_on_the_unit(values, unit):
    information = torch.from_numpy(values)
    information = information / max(1.0, float(information.max())) + 1e-6  # above the denormals
    torch.testing.assert_close(
        normalised_information(information * unit), normalised_information(information)
    )


@given(informations, st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(1e-3, 1), min_size=6, max_size=6))
def test_update_stays_on_the_simplex_and_above_the_floor(values, floor_share, ema, weights):
    information, modalities = torch.from_numpy(values), len(values)
    previous = torch.tensor(weights[:modalities], dtype=torch.float64)
    previous, floor = previous / previous.sum(), floor_share / modalities
    updated = updated_allocation(previous, information, floor=floor, ema=ema)
    assert math.isclose(float(updated.sum()), 1.0, abs_tol=1e-12)
    least = ema * previous + (1 - ema) * floor
    assert bool((updated >= least - 1e-12).all())


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_information_that_cannot_be_is_refused(bad):
    with pytest.raises(TrainingError, match="finite and not negative"):
        normalised_information(torch.tensor([0.1, bad]))


@pytest.mark.parametrize(("floor", "ema"), [(0.6, 0.5), (-0.1, 0.5), (0.1, 1.5), (0.1, -0.5)])
def test_update_refuses_settings_out_of_range(floor, ema):
    with pytest.raises(ParamsError, match=r"allocation\.floor"):
        updated_allocation(torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.2]), floor=floor, ema=ema)


def test_update_refuses_vectors_of_different_length():
    with pytest.raises(ParamsError, match="2 weights and 3 information values"):
        updated_allocation(torch.tensor([0.5, 0.5]), torch.ones(3), floor=0.0, ema=0.0)
