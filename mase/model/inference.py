"""Predictions over a whole split: no labels, no dependence on batch size or order."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mase.model.build import AnyModel
from mase.model.inputs import Inputs


def device_of(model: torch.nn.Module) -> torch.device:
    """Return where the model lives."""
    return next(model.parameters()).device


def evaluation_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return batches of rows sorted by length; every row once."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


@torch.no_grad()
def predict_logits(model: AnyModel, inputs: Inputs, batch_size: int) -> Float[Tensor, "N C"]:
    """Return the fused prediction of every row, in the rows' order."""
    model.eval()
    batches = evaluation_batches(inputs.lengths, batch_size)
    logits = [model(inputs.batch(b).to(device_of(model))).logits.float().cpu() for b in batches]
    back = torch.from_numpy(np.argsort(np.concatenate(batches)))
    return torch.cat(logits)[back]
