"""Allocation weights z over the modalities (Eq. 11) and their update at an E-step.

z is one simplex vector (M,), shared by all instances, in the order of the run's
modalities. Nothing here sees features or labels: information, or the responsibilities of
a mixture, turn into weights.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mase.errors import ParamsError, TrainingError


def normalised_information(values: Float[Tensor, "modalities"]) -> Float[Tensor, "modalities"]:
    """Divide the information of each modality by the sum over all (Eq. 11).

    Args:
        values: information in nats, already clamped at 0.

    Returns:
        Weights that sum to one, in the dtype of `values`.

    Raises:
        TrainingError: a value is negative or not finite.

    Reading of the paper:
        Eq. 11 is 0/0 where no modality informs about the label. The weights are then
        uniform, as at the start of a run.
    """
    exact = values.detach().double()
    if not bool(torch.isfinite(exact).all()) or bool((exact < 0).any()):
        raise TrainingError(f"information must be finite and not negative, got {values.tolist()}")
    largest = exact.max()
    if largest == 0:
        return torch.full_like(values, 1.0 / len(values))
    shares = exact / largest  # a sum of very large or denormal values would overflow or round to 0
    return (shares / shares.sum()).to(values.dtype)


def updated_allocation(
    previous: Float[Tensor, "modalities"],
    information: Float[Tensor, "modalities"],
    *,
    floor: float,
    ema: float,
) -> Float[Tensor, "modalities"]:
    """Return the weights after an E-step, which replace `previous`.

        z_new = (1 - M * floor) * normalised(I) + floor
        z     = ema * z_previous + (1 - ema) * z_new

    Args:
        previous: weights that sum to one.
        information: nats, clamped at 0; of a mixture, mean responsibilities, which are normalised
            already.
        floor: least weight of a modality in z_new, at most 1/M.
        ema: share of the old weights that is kept; 0 is the paper's plain Eq. 11.

    Raises:
        ParamsError: `floor` or `ema` is out of range, or the vectors differ in length.
        TrainingError: a value of `information` is negative or not finite.

    Reading of the paper:
        A weight of exactly 0 cuts a modality off from the loss, and it can never earn
        weight again. The floor keeps a little gradient flowing, so that a modality that
        becomes useful comes back; floor 0 and ema 0 give the paper's update.
    """
    modalities = len(previous)
    if previous.shape != information.shape:
        raise ParamsError(f"got {modalities} weights and {len(information)} information values")
    if not 0.0 <= floor * modalities <= 1.0 or not 0.0 <= ema <= 1.0:
        limits = f"allocation.floor must be in [0, 1/{modalities}] and allocation.ema in [0, 1]"
        raise ParamsError(f"{limits}, got floor={floor}, ema={ema}")
    share = normalised_information(information).double().to(previous.device)
    target = (1.0 - modalities * floor) * share + floor
    updated = ema * previous.detach().double() + (1.0 - ema) * target
    return (updated / updated.sum()).to(previous.dtype)  # undo the drift of repeated rounding


def collapsed(
    allocation: Float[Tensor, "modalities"], *, floor: float = 0.0, tolerance: float = 1e-3
) -> bool:
    """Tell whether some modality has lost its say: a weight within `tolerance` of the floor.

    A modality can only lose to another, so a single one, or a uniform allocation, is
    never collapsed. For logging; nothing is decided by it.
    """
    weights = allocation.detach().double()
    lowest, highest = float(weights.min()), float(weights.max())
    return lowest <= floor + tolerance and not math.isclose(lowest, highest, abs_tol=tolerance)
