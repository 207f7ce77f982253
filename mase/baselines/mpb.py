"""MPB, the multimodal-proxy baseline of Section 3.1.

"We concatenate different modal semantics and feed them into a classifier": the raw
widths side by side, [h^T ; h^I ; h^A ; h^V], then dropout and one linear layer. The
backbone trains, the towers are frozen; no EM, no graph, no contrastive loss.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.prompt_head import PromptHead
from mase.model.task_model import MaseOutput, TaskModel, task_head
from mase.params import Params, TaskParams

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class MultimodalProxyBaseline(TaskModel):
    """Concatenation of the pooled text state and the raw proxies.

    Args:
        backbone: the language model.
        head: takes the sum of all widths.
        modalities: text first, then any subset of the proxies.
    """

    def __init__(self, task: TaskParams, backbone: Backbone, head: nn.Module, modalities: Sequence[Modality]):
        super().__init__()
        self.task, self.backbone, self.head, self.modalities = task, backbone, head, tuple(modalities)
        self.register_buffer("allocation", torch.full((len(modalities),), 1.0 / len(modalities)))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> Self:
        """Return a model with first weights; the head takes the sum of all widths."""
        backbone = Backbone(params.backbone, architecture)
        width = backbone.width + sum(fitted.widths.values())
        return cls(params.task, backbone, cls.head_of(params, fitted, backbone, width), params.modalities)

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the head on a concatenation of this width."""
        if params.head.kind != "linear":
            return PromptHead(params, backbone, width, fitted.label_mean, fitted.label_deviation)
        return task_head(params, fitted, width)

    def read(self, batch: Batch) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return the backbone's token states, and h^text."""
        return self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; `pre` and `post` hold the concatenation as one slice."""
        _, pooled = self.read(batch)
        parts = [pooled.float() if m == "text" else batch.proxies[m] for m in self.modalities]
        together = torch.cat(parts, dim=1)
        features = together.unsqueeze(1)
        return MaseOutput(self.head(together), features, features, features)
