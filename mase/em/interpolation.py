"""Information of answers that are many tokens: what h^m adds to the best constant predictor (Eq. 10).

A sequence has no small set of classes whose logits could be given a temperature and biases. What is
known of a prediction is the log probability that it gives each target. So a modality is calibrated
by mixing it with the constant predictor,

    p_w(y | h^m) = w p(y | h^m) + (1 - w) p(y),

where the weight w in [0, 1] is fitted on one half of the examples and the other half is scored, then
swapped: a head that is overconfident on h^m alone, or worse than knowing nothing, falls back on p(y).

Reading of the paper:
    Eq. 10 is for a label. Here it is per target (a token, the two ends of a span, an answer), so
    that modalities are compared on one scale whatever the length: nats per target.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar
from torch import Tensor

from mase.em.information import RESOLUTION, Information
from mase.errors import TrainingError
from mase.seeds import numpy_generator

Floats = Float[np.ndarray, "N T"]


def interpolated_information(
    told: Float[Tensor, "N T"],
    constant: Float[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    *,
    calibrate: bool = True,
) -> Information:
    """Estimate I(h^m; y) of N examples with up to T targets each, in nats per target.

    Args:
        told: log p(y_t | h^m).
        constant: log p(y_t) of the best constant predictor, fitted on training rows.
        mask: which targets there are; every example has one at least.
        calibrate: fit w as above; else w is 1.

    Returns:
        The standard error is over examples, since the targets of one are not independent.

    Raises:
        TrainingError: for fewer than two examples, one without a target, or a value that is no
            probability where there is a target.
    """
    given, base, real = (part.detach().cpu().numpy() for part in (told, constant, mask))
    real = real.astype(bool)
    given, base = (np.where(real, part.astype(np.float64), 0.0) for part in (given, base))
    _check(given, base, real)
    order = np.lexsort((*given.T, *base.T))  # the split into halves must not depend on the rows' order
    given, base, real = given[order], base[order], real[order]
    gains = given - base
    if calibrate:
        gains = np.empty_like(given)
        shuffled = numpy_generator(0, "interpolation/halves").permutation(len(given))
        for fit, score in ((shuffled[::2], shuffled[1::2]), (shuffled[1::2], shuffled[::2])):
            weight = fitted_weight(given[fit][real[fit]], base[fit][real[fit]])
            gains[score] = _mixed(weight, given[score], base[score]) - base[score]
    return _per_target(gains, real)


def fitted_weight(told: Float[np.ndarray, "K"], constant: Float[np.ndarray, "K"]) -> float:
    """Return the w in [0, 1] under which K targets are most likely; a concave problem."""

    def loss(weight: float) -> float:
        return -float(_mixed(weight, told, constant).mean())

    found = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-6})
    return min((0.0, float(found["x"]), 1.0), key=loss)


def _mixed(weight: float, told: np.ndarray, constant: np.ndarray) -> np.ndarray:
    if weight == 0.0:
        return constant
    if weight == 1.0:
        return told
    return np.logaddexp(np.log(weight) + told, np.log1p(-weight) + constant)


def _per_target(gains: Floats, real: Bool[np.ndarray, "N T"]) -> Information:
    """Return the mean gain per target, a ratio of sums, with the delta method's standard error."""
    counts = real.sum(axis=1)
    sums = np.where(real, gains, 0.0).sum(axis=1)
    raw = float(sums.sum() / counts.sum())
    influences = (sums - raw * counts) / counts.mean()
    error = float(influences.std(ddof=1)) / np.sqrt(len(influences))
    return Information(raw if raw > RESOLUTION else 0.0, float(error), raw)


def _check(told: Floats, constant: Floats, real: Bool[np.ndarray, "N T"]) -> None:
    if len(told) < 2:
        raise TrainingError(f"information needs two examples or more, got {len(told)}")
    if not real.any(axis=1).all():
        raise TrainingError("information is undefined: an example has no target")
    for values in (told, constant):
        if not np.isfinite(values).all() or values.max() > 1e-4:
            raise TrainingError("information is undefined: a log probability is not finite, or above 0")
