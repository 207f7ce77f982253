"""Information about many soft yes-or-no labels at once (Eq. 10 for a vocabulary of answers).

The best constant prediction gives every answer its training share. A modality's own prediction is
mixed with it before it is judged, p = w p_m + (1 - w) p_constant, with one w for all answers: a head
that was never trained on h^m alone is over-confident, and thousands of answers leave no rows to
fit a bias each. The log likelihood is concave in w, so the fit has one solution.

Where every prediction also reads an input that is no modality (the regions of a picture), what is
known without the modality is more than the shares, and differs by row: `base`.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor

from mase.em.information import RESOLUTION, Information
from mase.errors import TrainingError
from mase.seeds import numpy_generator

Floats = NDArray[np.float64]
EDGE = 1e-9  # no probability comes nearer to 0 or 1


def bernoulli_information(
    logits: Float[Tensor, "N A"],
    targets: Float[Tensor, "N A"],
    *,
    calibrate: bool,
    prior: Float[Tensor, "A"] | None = None,
    base: Float[Tensor, "N A"] | None = None,
) -> Information:
    """Estimate how much better p(y | h^m) says the labels than their shares, or `base`, do, in nats per row.

    Args:
        logits: from h^m alone, a row per held-out example.
        targets: soft labels in [0, 1].
        calibrate: mix with the constant prediction; w is fitted on one half and scored on the other,
            and the reverse.
        prior: share of each label among the training rows; None takes those of `targets`.
        base: logits of what is known of each row without h^m, which then stands in the shares' place.

    Raises:
        TrainingError: fewer than two rows, shapes that do not fit, or a number that is not finite.

    Reading of the paper:
        H(y) of Eq. 10 is the entropy of the labels taken one by one, sum over answers of H(share).
        Without calibration it is that fixed value; with it, the constant's loss on the same rows. With
        `base` it is the base's loss, H(y | regions), and calibration first mixes the base with the
        shares, so that a base that is over-confident gives no modality anything to mend.
    """
    own, wanted = (_float64(values) for values in (logits, targets))
    known = None if base is None else _float64(base)
    if own.shape != wanted.shape or own.ndim != 2 or len(own) < 2:
        raise TrainingError(
            f"information needs two rows or more of one shape, got {own.shape}, {wanted.shape}"
        )
    if known is not None and known.shape != own.shape:
        raise TrainingError(f"information needs a base of the same shape, got {own.shape}, {known.shape}")
    if not all(np.isfinite(values).all() for values in (own, wanted, known) if values is not None):
        raise TrainingError("information is undefined: a prediction or a label is not finite")
    places = np.arange(1.0, wanted.shape[1] + 1)
    order = np.lexsort((own.max(axis=1), own.sum(axis=1), (wanted * places).sum(axis=1)))
    own, wanted = own[order], wanted[order]  # the split into halves must not depend on the rows' order
    shares = (wanted.mean(axis=0) if prior is None else _float64(prior)).clip(EDGE, 1 - EDGE)
    probabilities = expit(own).clip(EDGE, 1 - EDGE)
    constant = np.broadcast_to(shares, own.shape)
    without = constant if known is None else expit(known[order]).clip(EDGE, 1 - EDGE)
    if not calibrate:
        told = _told(probabilities, wanted)
        if known is not None:
            gains = told - _told(without, wanted)
            return _estimate(float(gains.mean()), gains)
        entropy = -float(_told(shares[None], shares[None])[0])
        return _estimate(entropy + float(told.mean()), told)
    gains = np.zeros(len(own))
    shuffled = numpy_generator(0, "bernoulli/halves").permutation(len(own))
    for fit, score in ((shuffled[::2], shuffled[1::2]), (shuffled[1::2], shuffled[::2])):
        nothing = constant
        if known is not None:
            nothing = _mixed(_mixing_weight(without[fit], constant[fit], wanted[fit]), without, constant)
        weight = _mixing_weight(probabilities[fit], nothing[fit], wanted[fit])
        if weight > 0:
            mixed = _mixed(weight, probabilities[score], nothing[score])
            gains[score] = _told(mixed, wanted[score]) - _told(nothing[score], wanted[score])
    return _estimate(float(gains.mean()), gains)


def _mixing_weight(probabilities: Floats, nothing: Floats, wanted: Floats) -> float:
    """Return the w in [0, 1] with the highest likelihood; exactly 0 where none beats `nothing`."""

    def loss(weight: float) -> float:
        return -float(_told(_mixed(weight, probabilities, nothing), wanted).mean())

    found: Any = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-3})
    return min((loss(0.0), 0.0), (loss(float(found.x)), float(found.x)), (loss(1.0), 1.0))[1]


def _mixed(weight: float, probabilities: Floats, nothing: Floats) -> Floats:
    return weight * probabilities + (1.0 - weight) * nothing


def _told(probabilities: Floats, wanted: Floats) -> Floats:
    """Return the log likelihood of each row, nats."""
    return (wanted * np.log(probabilities) + (1.0 - wanted) * np.log1p(-probabilities)).sum(axis=1)


def _estimate(raw: float, samples: Floats) -> Information:
    error = float(samples.std(ddof=1)) / math.sqrt(len(samples))
    return Information(raw if raw > RESOLUTION else 0.0, error, raw)


def _float64(values: Tensor) -> Floats:
    return values.detach().cpu().double().numpy()
