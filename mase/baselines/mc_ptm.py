"""MC-PTM "+None": the text encoder of a contrastive model, and a head on its vector.

Reading of the paper: whether the tower is tuned is not said; here it is frozen, so the
head on the stored proxies is all that trains.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mase.modalities import Modality
from mase.model.batch import Batch
from mase.model.task_model import MaseOutput, TaskModel, task_head
from mase.params import Params, TaskParams

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class TowerWithHead(TaskModel):
    """A head on one modality's frozen proxy."""

    has_backbone = False

    def __init__(self, task: TaskParams, head: nn.Module, modality: Modality):
        super().__init__()
        self.task, self.head = task, head
        self.modalities = (modality,)
        self.register_buffer("allocation", torch.ones(1))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "TowerWithHead":
        """Return a model with first weights; it has no backbone."""
        (modality,) = params.modalities
        return cls(params.task, task_head(params, fitted, len(fitted.sentence[modality].mean)), modality)

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; tokens are not read."""
        features = batch.proxies[self.modalities[0]].unsqueeze(1)
        return MaseOutput(self.head(features[:, 0]), features, features, features)
