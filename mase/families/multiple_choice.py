"""Multiple choice (CommonsenseQA): each question is `options` text rows, (question, choice i).

The head gives one score per text row; the scores of a question's choices are its logits
(`mase.model.mase` groups them). Which position is right is arbitrary, so knowing nothing is
log(options) nats, and a modality is calibrated by a temperature alone.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mase.em.information import Information, classification_information
from mase.errors import ParamsError
from mase.families.classification import Classification
from mase.params import TaskParams


class MultipleChoice(Classification):
    """Labels are positions 0..C-1 of the right choice, C = `TaskParams.options`; outputs are its logits."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return 1, the score of one choice."""
        return 1

    def answers(self, task: TaskParams) -> int:
        """Return the number of choices."""
        return task.options

    def information(
        self, answers: Float[Tensor, "N C"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return log C minus the cross entropy over the choices."""
        return classification_information(
            answers, labels, calibrate=calibrate, prior=prior, exchangeable=True
        )

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return 1/C each, float64 (C,)."""
        return torch.full((task.options,), 1 / task.options, dtype=torch.float64)

    def probe(
        self, task: TaskParams, features: np.ndarray, labels: np.ndarray, asked: np.ndarray
    ) -> Float[np.ndarray, "Q C"]:
        """Refuse: a choice has no class that a probe could learn."""
        raise ParamsError(f"allocation.head: probe does not fit task {task.name}, which is multiple choice")
