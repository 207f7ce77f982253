"""MPB, the multimodal-proxy baseline of Section 3.1.

"We concatenate different modal semantics and feed them into a classifier": the raw
widths side by side, [h^T ; h^I ; h^A ; h^V], then dropout and one linear layer. The
backbone trains, the towers are frozen; no EM, no graph, no contrastive loss.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.heads import Head
from mase.model.mase import MaseOutput


class MultimodalProxyBaseline(nn.Module):
    """Concatenation of the pooled text state and the raw proxies.

    Args:
        backbone: the language model.
        head: takes the sum of all widths.
        modalities: text first, then any subset of the proxies.
    """

    allocation: Tensor

    def __init__(self, backbone: Backbone, head: Head, modalities: Sequence[Modality]):
        super().__init__()
        self.backbone, self.head, self.modalities = backbone, head, tuple(modalities)
        self.register_buffer("allocation", torch.full((len(modalities),), 1.0 / len(modalities)))

    @staticmethod
    def width(backbone: Backbone, proxy_widths: Mapping[Modality, int]) -> int:
        """Return the width of the concatenation."""
        return backbone.width + sum(proxy_widths.values())

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; `pre` and `post` hold the concatenation as one slice."""
        _, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        parts = [pooled.float() if m == "text" else batch.proxies[m] for m in self.modalities]
        together = torch.cat(parts, dim=1)
        features = together.unsqueeze(1)
        return MaseOutput(self.head(together), features, features, features)
