"""What a task family must say; see the package's docstring."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.em.information import Information
from mase.em.losses import log_likelihoods
from mase.errors import ParamsError
from mase.params import TaskParams


@dataclass(frozen=True)
class Likelihood:
    """What `mase.em.losses.log_likelihoods` takes: outputs (B, M, *C), targets (B,), and sigma for scores."""

    outputs: Tensor
    targets: Tensor
    sigma: Tensor | None = None


@dataclass(frozen=True)
class Answered:
    """What a model predicted, and what it takes to say it in words.

    Attributes:
        rows: the examples; without references (and with `unlabelled` labels) where they are new texts,
            for which columns that need an answer are left out.
        seen: the same as the model saw them (`TaskModel.rows`).
        predicted: what `TaskModel.predicted` says, a row per text row of `seen`.
        tokenizer: None for a method without a backbone.
        labels: the vocabulary, if there is.
    """

    rows: Rows
    seen: Rows
    predicted: Mapping[str, np.ndarray]
    tokenizer: PreTrainedTokenizerBase | None = None
    labels: tuple[str, ...] = ()


class Family(ABC):
    """One kind of task.

    B or N is the number of examples. An example's answers are *C numbers: what the head gives for it,
    or what `MaseModel.answers` makes of that. Labels are the model's targets (`TaskModel.targets`).
    """

    @abstractmethod
    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return how many numbers the head gives for a text row; `labels` is the vocabulary, if there is."""

    @abstractmethod
    def loss(self, logits: Float[Tensor, "B *C"], labels: Tensor, head: Any) -> Float[Tensor, ""]:
        """Return L_task (Eq. 7), in units in which alpha means the same for every task."""

    @abstractmethod
    def information(
        self, answers: Float[Tensor, "N *C"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return I(h^m; y) in nats (Eq. 10) from the answers to one modality alone."""

    @abstractmethod
    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return the predictions, a line per example: `id`, `label`, `prediction`, what metrics read."""

    def vocabulary(self, task: TaskParams, train: Rows) -> tuple[str, ...]:
        """Return the answers that the training rows give, where the task does not name them; else none."""
        return ()

    def files(self, task: TaskParams, frame: pd.DataFrame) -> Mapping[str, str]:
        """Return texts of more files of a unit, by name: predictions in an official format."""
        return {}

    def shares(self, task: TaskParams, train: Rows, labels: tuple[str, ...]) -> tuple[float, ...]:
        """Return the mean target of each answer of the vocabulary, which a head may start from; else none."""
        return ()

    def unlabelled(self, count: int) -> np.ndarray:
        """Return the labels of rows that have none."""
        return np.zeros(count, np.int64)

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return the training labels' frequencies, the fixed H(y) of Eq. 10; None where it has none."""
        return None

    def log_likelihood(self, answers: Float[Tensor, "N *C"], labels: Tensor, head: Any) -> Float[Tensor, "N"]:
        """Return log p(y | h*) of each example in nats, with all constants."""
        terms = self.likelihood(answers.unsqueeze(1), labels, head, None, standardised=False)
        sigma = None if terms.sigma is None else terms.sigma.to(answers.device)
        return log_likelihoods(terms.outputs, terms.targets, sigma).squeeze(1)

    def likelihood(
        self, alone: Tensor, labels: Tensor, head: Any, log_sigma: Tensor | None, *, standardised: bool
    ) -> Likelihood:
        """Return the terms of log p(y | h^m) per modality; scores in label units or standardised ones.

        Raises:
            ParamsError: if the family has no mixture of predictions.
        """
        raise ParamsError(f"{type(self).__name__} has no mixture of predictions")

    def mixture(self, gate: Float[Tensor, "B M"], alone: Float[Tensor, "B M C"]) -> Float[Tensor, "B C"]:
        """Return the prediction of sum_m g_m(x) p(y | h_hat^m), `gate` holding log g.

        Raises:
            ParamsError: if the family has no mixture of predictions.
        """
        raise ParamsError(f"{type(self).__name__} has no mixture of predictions")

    def probe(
        self, task: TaskParams, features: np.ndarray, labels: np.ndarray, asked: np.ndarray
    ) -> Float[np.ndarray, "Q C"]:
        """Fit a linear probe on features (N, D) and return its answers to others (Q, D).

        Raises:
            ParamsError: if the family has no probe.
        """
        raise ParamsError(f"allocation.head: probe does not fit task {task.name}, a {task.family} task")


class VectorFamily(Family):
    """A family whose answers are one vector per row, the head's logits."""

    @abstractmethod
    def answers(self, task: TaskParams) -> int:
        """Return C, the numbers of an example: the head's, or one per choice."""

    @abstractmethod
    def predictions(self, task: TaskParams, logits: Float[np.ndarray, "N C"]) -> Mapping[str, np.ndarray]:
        """Return `prediction`, and `probability_<k>` where there are."""

    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return the predictions, with the label of every row."""
        rows, found = answered.rows, self.predictions(task, answered.predicted["logits"])
        return pd.DataFrame({"id": rows.ids, "label": rows.labels, **found})
