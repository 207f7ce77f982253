"""Classification of a text or a pair: a class id, cross entropy, entropy of the classes."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from mase.em.information import Information, classification_information
from mase.em.losses import precise
from mase.families.family import Likelihood, VectorFamily
from mase.params import TaskParams

if TYPE_CHECKING:
    from mase.model.heads import Head

NEVER = -20.0  # log probability of a class that a probe's rows did not have


class Classification(VectorFamily):
    """Labels are class ids 0..C-1, positions in `TaskParams.labels`; outputs are logits."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return C."""
        return len(task.labels)

    def answers(self, task: TaskParams) -> int:
        """Return C."""
        return len(task.labels)

    def loss(self, logits: Float[Tensor, "B C"], labels: Tensor, head: "Head") -> Float[Tensor, ""]:
        """Return the cross entropy in nats (Eq. 7)."""
        return functional.cross_entropy(precise(logits), labels)

    def likelihood(
        self,
        alone: Float[Tensor, "B M C"],
        labels: Tensor,
        head: "Head",
        log_sigma: Tensor | None,
        *,
        standardised: bool,
    ) -> Likelihood:
        """Return logits and class ids."""
        return Likelihood(alone, labels)

    def mixture(self, gate: Float[Tensor, "B M"], alone: Float[Tensor, "B M C"]) -> Float[Tensor, "B C"]:
        """Return log sum_m g_m(x) p(y | h_hat^m)."""
        return torch.logsumexp(gate.unsqueeze(-1) + alone.log_softmax(-1), dim=1)

    def information(
        self, answers: Float[Tensor, "N C"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return H(y) - H(y | h^m)."""
        return classification_information(answers, labels, calibrate=calibrate, prior=prior)

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return the class frequencies, float64 (C,)."""
        counts = torch.bincount(labels, minlength=len(task.labels)).double()
        return counts / counts.sum()

    def probe(
        self, task: TaskParams, features: np.ndarray, labels: np.ndarray, asked: np.ndarray
    ) -> Float[np.ndarray, "Q C"]:
        """Return log probabilities of a logistic regression."""
        fitted = LogisticRegression(C=0.1, max_iter=200).fit(features, labels)
        result = np.full((len(asked), len(task.labels)), NEVER)
        result[:, fitted.classes_] = fitted.predict_log_proba(asked)
        return result

    def predictions(self, task: TaskParams, logits: Float[np.ndarray, "N C"]) -> dict[str, np.ndarray]:
        """Return the most probable class id and the probability of each class."""
        probabilities = torch.from_numpy(logits).softmax(-1).numpy()
        shares = {f"probability_{k}": probabilities[:, k] for k in range(probabilities.shape[1])}
        return {"prediction": probabilities.argmax(1), **shares}
