"""Fine-tuning the backbone alone, written out: pooled state, dropout, head.

Tables train the same thing as a case of MASE (`params/methods/text.yaml`); this module is
the independent twin that a test holds it against, bit for bit.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.task_model import MaseOutput, TaskModel, task_head
from mase.params import Params, TaskParams

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class TextOnly(TaskModel):
    """A pre-trained language model with a task head."""

    modalities: tuple[Modality, ...] = ("text",)

    def __init__(self, task: TaskParams, backbone: Backbone, head: nn.Module):
        super().__init__()
        self.task, self.backbone, self.head = task, backbone, head
        self.register_buffer("allocation", torch.ones(1))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "TextOnly":
        """Return a model with first weights."""
        backbone = Backbone(params.backbone, architecture)
        return cls(params.task, backbone, task_head(params, fitted, backbone.width))

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch."""
        _, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        features = pooled.float().unsqueeze(1)
        return MaseOutput(self.head(features[:, 0]), features, features, features)
