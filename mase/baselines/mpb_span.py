"""MPB where the answer is a span: Section 3.1's concatenation, token by token.

A token's raw features side by side: its state, and per proxy modality question times sentence, as
`mase.model.span` makes them; then dropout and one linear layer with two outputs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mase.baselines.mpb import MultimodalProxyBaseline
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.span import SpanOutput, SpanReading, context_means, part_of, token_proxies
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class SpanProxyBaseline(SpanReading, MultimodalProxyBaseline):
    """Concatenation of token states and raw proxies of tokens."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, modalities: Sequence[Modality]):
        super().__init__(params.task, backbone, head, modalities)
        self.params = params

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "SpanProxyBaseline":
        """Return a model with first weights; the head takes the sum of all widths."""
        backbone = Backbone(params.backbone, architecture)
        width = backbone.width + sum(fitted.widths.values())
        return cls(params, backbone, cls.head_of(params, fitted, backbone, width), params.modalities)

    def forward(self, batch: Batch) -> SpanOutput:
        """Return the output for a batch; `pre` and `post` hold the concatenation as one slice."""
        states, _ = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        proxies, where = token_proxies(batch), part_of(batch)
        parts = [states.flatten(0, 1).float() if m == "text" else proxies[m] for m in self.modalities]
        together = torch.cat(parts, dim=1).unflatten(0, states.shape[:2])
        features = together.unsqueeze(2)  # (B, L, 1, width)
        logits = self.by_position(self.head(together), where)
        return SpanOutput(logits, features, features, context_means(features, where), where=where)
