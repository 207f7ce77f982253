"""Predictions over a whole split: no labels, no dependence on batch size or order."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from mase.model.inputs import Inputs
from mase.model.task_model import TaskModel


def device_of(model: torch.nn.Module) -> torch.device:
    """Return where the model lives."""
    return next(model.parameters()).device


def evaluation_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return batches of rows sorted by length; every row once."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def in_row_order(
    lengths: np.ndarray, batch_size: int, answer: Callable[[np.ndarray], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Ask for batches of rows of like length; return the named answers joined, in the rows' order.

    Args:
        lengths: (n,) token counts.
        answer: takes the indices of a batch's rows; every tensor it returns has a row per index.
    """
    batches = evaluation_batches(lengths, batch_size)
    parts = [answer(indices) for indices in batches]
    back = torch.from_numpy(np.argsort(np.concatenate(batches)))
    return {name: torch.cat([part[name] for part in parts])[back] for name in parts[0]}


@torch.no_grad()
def predict(model: TaskModel, inputs: Inputs, batch_size: int) -> dict[str, np.ndarray]:
    """Return what the model predicts of every row (`TaskModel.predicted`), in the rows' order."""
    model.eval()

    def answer(indices: np.ndarray) -> dict[str, Tensor]:
        batch = inputs.batch(indices).to(device_of(model))
        return {name: found.cpu() for name, found in model.predicted(batch).items()}

    return {k: v.numpy() for k, v in in_row_order(inputs.lengths, batch_size, answer).items()}
