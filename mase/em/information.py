"""How much one modality tells about the label (Eq. 10), with a standard error.

Both estimators measure V-information (Xu et al. 2020): how much better a prediction
from h^m does, on average over held-out rows, than the best constant prediction. It is
a lower bound on the mutual information, in nats. All arithmetic is float64.

Reading of the paper:
    The paper names "a Monte Carlo estimator" and no more. Here it is the sample average of
    log p(y_i | h_i^m). The shared head is trained on mixtures only, so on h^m alone it is
    badly calibrated, and a modality can look worse than knowing nothing; `calibrate` lets
    each modality rescale its head before it is judged. A negative estimate is clamped to 0
    (Section 3.4: information is not negative) and kept as `raw`. Estimates on rows that the
    head was trained on are worthless: give held-out rows.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor

from mase.errors import TrainingError
from mase.seeds import numpy_generator

Floats = NDArray[np.float64]
Halves = tuple[NDArray[np.int64], NDArray[np.int64]]
RESOLUTION = 1e-9  # nats; less is rounding, which Eq. 11 would blow up where no modality tells anything
SMALLEST_ERROR = 1e-12  # of the label's variance: a perfect prediction is 13.8 nats, not infinity


@dataclass(frozen=True)
class Information:
    """An estimate in nats.

    `value` is `raw` clamped at 0 (and 0 below `RESOLUTION`); `standard_error` belongs to `raw`.
    """

    value: float
    standard_error: float
    raw: float


def classification_information(
    logits: Float[Tensor, "N C"],
    labels: Int[Tensor, "N"],
    *,
    calibrate: bool,
    prior: Float[Tensor, "C"] | None = None,
    exchangeable: bool = False,
) -> Information:
    """Estimate I(h^m; y) = H(y) - H(y | h^m) of a class label (Eq. 10).

    Args:
        logits: of p(y | h^m), one row per held-out example.
        labels: class ids.
        calibrate: fit a temperature and class biases on one half of the rows and score the
            other, then swap. H(y) is then the loss of the best constant prediction, class
            frequencies with one added to each count, fitted and scored on the same halves.
        prior: class frequencies of the training set, whose entropy is the paper's fixed
            H(y); None takes those of `labels`. Unused when calibrating.
        exchangeable: classes are positions without meaning (choices): calibration fits no biases,
            and H(y) is log C.

    Raises:
        TrainingError: fewer than two rows, a non-finite logit, or a label out of range.

    Reading of the paper:
        The inverse temperature may fall to 0 but not below: a head that is wrong more often than
        chance carries no information that its z could use. The order of the rows does not matter.
    """
    scores, classes = _float64(logits), labels.detach().cpu().numpy().astype(np.int64)
    count = scores.shape[1] if scores.ndim == 2 else 0
    _check_rows(scores, classes)
    if classes.min() < 0 or classes.max() >= count:
        raise TrainingError(f"labels must be in 0..{count - 1}, got {classes.min()}..{classes.max()}")
    order = np.lexsort((*scores.T, classes))
    scores, classes = scores[order], classes[order]
    if calibrate:
        gains = np.empty(len(classes))
        for fit, score in _halves(classes):
            model = _fit_calibration(scores[fit], classes[fit], biased=not exchangeable)
            constant = model.constant
            gains[score] = _log_likelihood(model(scores[score]), classes[score]) - constant[classes[score]]
        return _estimate(float(gains.mean()), gains)
    told = _log_likelihood(log_softmax(scores, axis=1), classes)
    if prior is None:
        frequencies = np.bincount(classes, minlength=count) / len(classes)
        gains = told - np.log(frequencies[classes])
        return _estimate(float(gains.mean()), gains)
    return _estimate(_entropy(_float64(prior), count) + float(told.mean()), told)


def regression_information(
    predictions: Float[Tensor, "N"], labels: Float[Tensor, "N"], *, calibrate: bool
) -> Information:
    """Estimate the Gaussian information 0.5 log(Var(y) / MSE) of a score (Eq. 10).

    Args:
        predictions: from h^m alone, one per held-out example; (N,) or (N, 1).
        labels: the true scores.
        calibrate: fit slope and intercept on one half, score the other, and swap; the
            variance is then the squared error of the fitting half's mean.

    Returns:
        The standard error is the delta method's, from per-example influences.

    Raises:
        TrainingError: fewer than two rows, or a value that is not finite.

    Reading of the paper:
        A differential entropy can be negative, so Eq. 10's bounds fail. A ratio of squared
        errors is what Gaussian likelihoods with fitted variances leave of Eq. 10. The slope is
        not negative, as for classes; constant labels carry no information.
    """
    guesses, scores = _float64(predictions).reshape(-1), _float64(labels).reshape(-1)
    _check_rows(guesses, scores)
    order = np.lexsort((guesses, scores))
    guesses, scores = guesses[order], scores[order]
    if np.ptp(scores) == 0:
        return Information(0.0, 0.0, 0.0)
    baseline, error = scores - scores.mean(), scores - guesses
    if calibrate:
        for fit, score in _halves(np.zeros(len(scores), dtype=np.int64)):
            baseline[score] = scores[score] - scores[fit].mean()
            error[score] = scores[score] - _fit_line(guesses[fit], scores[fit], guesses[score])
    without, given = np.square(baseline), np.square(error)
    mean_without = without.mean()
    mean_given = max(given.mean(), SMALLEST_ERROR * mean_without)
    influences = 0.5 * (without / mean_without - given / mean_given)
    return _estimate(0.5 * math.log(mean_without / mean_given), influences)


def _halves(strata: NDArray[np.int64]) -> tuple[Halves, Halves]:
    """Return (fit, score) rows, and the two swapped; each stratum is split evenly.

    Rows come in sorted by content, so the split depends on what they are, not on their order.
    """
    generator = numpy_generator(0, "information/halves")
    shuffled = np.lexsort((generator.permutation(len(strata)), strata))
    first, second = np.sort(shuffled[::2]), np.sort(shuffled[1::2])
    return (first, second), (second, first)


class _Calibration:
    """log p(y | logits) = log_softmax(scale * standardised logits + bias)."""

    def __init__(self, logits: Floats, constant: Floats, *, biased: bool) -> None:
        relative = logits - logits.mean(axis=1, keepdims=True)
        self.centre = relative.mean(axis=0) if biased else np.zeros(logits.shape[1])
        spread = math.sqrt(np.square(relative - self.centre).mean())
        self.unit = spread if spread > 1e-12 * (1.0 + np.abs(logits).max()) else math.inf
        self.constant = constant  # log p(y) of the best constant prediction
        self.scale, self.bias = 0.0, constant

    def standardise(self, logits: Floats) -> Floats:
        return (logits - logits.mean(axis=1, keepdims=True) - self.centre) / self.unit

    def __call__(self, logits: Floats) -> Floats:
        return log_softmax(self.scale * self.standardise(logits) + self.bias, axis=1)


def _fit_calibration(logits: Floats, labels: NDArray[np.int64], *, biased: bool = True) -> _Calibration:
    """Fit scale >= 0 and, unless classes are mere positions, biases: penalised likelihood, a convex problem.

    One pseudo-row per class at the mean logits makes the biases finite and equal to the
    constant prediction's at scale 0; a unit normal prior on the scale (in units of the
    logits' spread) keeps it finite where the classes separate. The search starts at the constant
    prediction and, where the logits do not help, stays exactly there.
    """
    count = logits.shape[1]
    constant = _log_frequencies(labels, count) if biased else np.full(count, -math.log(count))
    model = _Calibration(logits, constant, biased=biased)
    inputs = np.concatenate([model.standardise(logits), np.zeros((count, count))])
    targets = np.concatenate([labels, np.arange(count)])
    hits = np.eye(count)[targets]

    def objective(parameters: Floats) -> tuple[float, Floats]:
        scale, bias = parameters[0], parameters[1:]
        log_probabilities = log_softmax(scale * inputs + bias, axis=1)
        residual = (np.exp(log_probabilities) - hits) / len(targets)
        loss = -_log_likelihood(log_probabilities, targets).mean() + 0.5 * scale**2 / len(targets)
        slope = (residual * inputs).sum() + scale / len(targets)
        return float(loss), np.concatenate([[slope], residual.sum(axis=0)])

    start = np.concatenate([[0.0], constant])
    bounds = [(0.0, None), *[(None, None) if biased else (value, value) for value in constant]]
    options = {"maxiter": 200, "ftol": 1e-13, "gtol": 1e-9}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    model.scale, model.bias = float(found[0]), found[1:]
    return model


def _fit_line(inputs: Floats, targets: Floats, scored: Floats) -> Floats:
    """Fit slope >= 0 and intercept, with one pseudo-row's worth of shrinkage, and predict."""
    offset, spread = inputs.mean(), inputs.std()
    if spread <= 1e-12 * (1.0 + np.abs(inputs).max()):
        return np.full_like(scored, targets.mean())
    standard = (inputs - offset) / spread
    slope = max(0.0, float(standard @ (targets - targets.mean())) / (len(inputs) + 1))
    return targets.mean() + slope * (scored - offset) / spread


def _log_frequencies(labels: NDArray[np.int64], count: int) -> Floats:
    return np.log((np.bincount(labels, minlength=count) + 1.0) / (len(labels) + count))


def _log_likelihood(log_probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    return log_probabilities[np.arange(len(labels)), labels]


def _entropy(prior: Floats, count: int) -> float:
    if prior.shape != (count,) or np.any(prior < 0) or not math.isclose(prior.sum(), 1.0, rel_tol=1e-4):
        raise TrainingError(f"prior must be {count} frequencies that sum to one, got {prior.tolist()}")
    positive = prior[prior > 0]
    return float(-(positive * np.log(positive)).sum())


def _estimate(raw: float, samples: Floats) -> Information:
    error = float(samples.std(ddof=1)) / math.sqrt(len(samples))
    return Information(raw if raw > RESOLUTION else 0.0, error, raw)


def _float64(values: Tensor) -> Floats:
    return values.detach().cpu().double().numpy()


def _check_rows(inputs: Floats, labels: NDArray[np.generic]) -> None:
    if len(inputs) != len(labels) or len(labels) < 2:
        counts = f"got {len(inputs)} predictions and {len(labels)} labels"
        raise TrainingError(f"information needs two rows or more, with one label each; {counts}")
    if not np.isfinite(inputs).all() or not np.isfinite(labels.astype(np.float64)).all():
        raise TrainingError("information is undefined: a prediction or a label is not finite")
