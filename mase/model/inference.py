"""Predictions over a whole split: no labels, no dependence on batch size or order."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from mase import ranks
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

    Several ranks (`mase.ranks`) share the rows, and all get all answers.

    Args:
        lengths: (n,) token counts.
        answer: takes the indices of a batch's rows; every tensor it returns has a row per index.
    """
    alone = ranks.count() == 1 or len(lengths) < ranks.count()
    mine = np.arange(0 if alone else ranks.rank(), len(lengths), 1 if alone else ranks.count())
    batches = [mine[batch] for batch in evaluation_batches(lengths[mine], batch_size)]
    parts = [answer(indices) for indices in batches]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    shares = [(np.concatenate(batches), found)]
    if not alone:
        shares = ranks.gathered(shares[0])
    back = torch.from_numpy(np.argsort(np.concatenate([rows for rows, _ in shares])))
    return {name: torch.cat([share[name] for _, share in shares])[back] for name in found}


@torch.no_grad()
def predict(model: TaskModel, inputs: Inputs, batch_size: int) -> dict[str, np.ndarray]:
    """Return what the model predicts of every row (`TaskModel.predicted`), in the rows' order."""
    model.eval()

    def answer(indices: np.ndarray) -> dict[str, Tensor]:
        batch = inputs.batch(indices).to(device_of(model))
        return {name: found.cpu() for name, found in model.predicted(batch).items()}

    return {k: v.numpy() for k, v in in_row_order(inputs.lengths, batch_size, answer).items()}
