"""The mean of a feature over training batches: what stands for it where it should tell nothing."""

import torch
from torch import Tensor, nn

FORGETTING = 0.05  # least weight of a batch, since features change while they train


class RunningMean(nn.Module):
    """A mean that all batches share alike at first, and that later forgets the old ones; no labels.

    Before the first batch it is 0, and no z is set by that (E-step t = 1 stores the uniform one).

    Args:
        shape: of the feature's mean in one batch.
    """

    batches: Tensor
    value: Tensor

    def __init__(self, *shape: int):
        super().__init__()
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.register_buffer("value", torch.zeros(*shape))

    @torch.no_grad()
    def update(self, found: Tensor) -> None:
        """Take in the mean of a batch, of the shape."""
        self.batches += 1
        self.value.lerp_(found.float(), (1.0 / self.batches).clamp_min(FORGETTING))
