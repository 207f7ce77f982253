"""What a task family must say; see the package's docstring."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mase.em.information import Information
from mase.params import TaskParams

if TYPE_CHECKING:
    from mase.model.heads import Head


@dataclass(frozen=True)
class Likelihood:
    """What `mase.em.losses.log_likelihoods` takes: outputs (B, M, *C), targets (B,), and sigma for scores."""

    outputs: Tensor
    targets: Tensor
    sigma: Tensor | None = None


class Family(Protocol):
    """One kind of task. C is the number of answers of an example, B or N the number of examples."""

    def outputs(self, task: TaskParams) -> int:
        """Return how many numbers the head gives for a text row."""
        ...

    def answers(self, task: TaskParams) -> int:
        """Return C, the numbers of an example: the head's, or one per choice."""
        ...

    def loss(self, logits: Float[Tensor, "B C"], labels: Tensor, head: "Head") -> Float[Tensor, ""]:
        """Return L_task (Eq. 7), in units in which alpha means the same for every task."""
        ...

    def likelihood(
        self,
        alone: Float[Tensor, "B M C"],
        labels: Tensor,
        head: "Head",
        log_sigma: Tensor | None,
        *,
        standardised: bool,
    ) -> Likelihood:
        """Return the terms of log p(y | h^m) per modality; scores in label units or standardised ones."""
        ...

    def mixture(self, gate: Float[Tensor, "B M"], alone: Float[Tensor, "B M C"]) -> Float[Tensor, "B C"]:
        """Return the prediction of sum_m g_m(x) p(y | h_hat^m), `gate` holding log g."""
        ...

    def information(
        self, logits: Float[Tensor, "N C"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return I(h^m; y) in nats (Eq. 10) from the answers to one modality alone."""
        ...

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return the training labels' frequencies, the fixed H(y) of Eq. 10; None where it has none."""
        ...

    def probe(
        self, task: TaskParams, features: np.ndarray, labels: np.ndarray, asked: np.ndarray
    ) -> Float[np.ndarray, "Q C"]:
        """Fit a linear probe on features (N, D) and return its answers to others (Q, D).

        Raises:
            ParamsError: if the family has no probe.
        """
        ...

    def predictions(self, task: TaskParams, logits: Float[np.ndarray, "N C"]) -> Mapping[str, np.ndarray]:
        """Return the columns of `predictions.parquet`: `prediction`, `probability_<k>` where there are."""
        ...
