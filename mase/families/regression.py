"""Regression of a score: squared error in units of the labels' deviation, Gaussian information."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.nn import functional

from mase.em.information import Information, regression_information
from mase.em.losses import precise
from mase.families.family import Likelihood, VectorFamily
from mase.params import TaskParams

if TYPE_CHECKING:
    from mase.model.heads import Head


def within_range(task: TaskParams, scores: np.ndarray) -> np.ndarray:
    """Return scores cut to the task's range of labels: what is evaluated is what is served."""
    low, high = task.label_range or (-np.inf, np.inf)
    return scores.clip(low, high)


class Regression(VectorFamily):
    """Labels are scores; the head gives one number in label units."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return 1."""
        return 1

    def answers(self, task: TaskParams) -> int:
        """Return 1."""
        return 1

    def loss(self, logits: Float[Tensor, "B 1"], labels: Tensor, head: "Head") -> Float[Tensor, ""]:
        """Return the mean squared error in units of the training labels' deviation.

        Reading of the paper:
            Eq. 7 names only the cross entropy. A score takes its Gaussian counterpart.
        """
        scores, targets = _standardised(logits, labels, head)
        return functional.mse_loss(precise(scores).reshape(targets.shape), targets.to(precise(scores).dtype))

    def likelihood(
        self,
        alone: Float[Tensor, "B M 1"],
        labels: Tensor,
        head: "Head",
        log_sigma: Tensor | None,
        *,
        standardised: bool,
    ) -> Likelihood:
        """Return scores, targets and the Gaussian's deviation: the learnt one, or the labels' own."""
        outputs = alone.squeeze(-1)
        sigma = head.deviation.new_ones(()) if log_sigma is None else log_sigma.exp()
        if standardised:
            return Likelihood(*_standardised(outputs, labels, head), sigma)
        return Likelihood(outputs, labels, sigma * head.deviation.to(sigma.device))

    def mixture(self, gate: Float[Tensor, "B M"], alone: Float[Tensor, "B M 1"]) -> Float[Tensor, "B 1"]:
        """Return the mixture's mean."""
        return (gate.exp().unsqueeze(-1) * alone).sum(1)

    def information(
        self, answers: Float[Tensor, "N 1"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return 0.5 log(Var y / MSE)."""
        return regression_information(answers.squeeze(-1), labels, calibrate=calibrate)

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return None: a score has no fixed entropy."""
        return None

    def probe(
        self, task: TaskParams, features: np.ndarray, labels: np.ndarray, asked: np.ndarray
    ) -> Float[np.ndarray, "Q 1"]:
        """Return the scores of a ridge regression."""
        return Ridge(alpha=10.0).fit(features, labels).predict(asked)[:, None]

    def predictions(self, task: TaskParams, logits: Float[np.ndarray, "N 1"]) -> dict[str, np.ndarray]:
        """Return the score, within the task's range."""
        return {"prediction": within_range(task, logits.squeeze(-1))}


def _standardised(scores: Tensor, labels: Tensor, head: "Head") -> tuple[Tensor, Tensor]:
    return (scores - head.mean) / head.deviation, (labels - head.mean) / head.deviation
