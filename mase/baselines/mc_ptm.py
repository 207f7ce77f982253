"""MC-PTM "+None": the text encoder of a contrastive model, and a head on its vector.

Reading of the paper: whether the tower is tuned is not said; here it is frozen, so the
head on the stored proxies is all that trains.
"""

import torch
from torch import Tensor, nn

from mase.modalities import Modality
from mase.model.batch import Batch
from mase.model.heads import Head
from mase.model.mase import MaseOutput


class TowerWithHead(nn.Module):
    """A head on one modality's frozen proxy."""

    allocation: Tensor

    def __init__(self, head: Head, modality: Modality):
        super().__init__()
        self.head = head
        self.modalities: tuple[Modality, ...] = (modality,)
        self.register_buffer("allocation", torch.ones(1))

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; tokens are not read."""
        features = batch.proxies[self.modalities[0]].unsqueeze(1)
        return MaseOutput(self.head(features[:, 0]), features, features, features)
