"""MPB where the answer is a sentence: the raw proxies side by side make the decoder's soft prefix."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.memory import Memory, Prefix
from mase.model.writer import GenerationOutput, SoftPrefix, Writer, language_model, pretrained_parts
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class GenerationBaseline(Writer):
    """MPB for sentences: a soft prefix from the raw proxies side by side; no z, no gate, no graph.

    Args:
        entry: the sum of the proxies' widths.
    """

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, entry: int):
        super().__init__()
        self.task, self.modalities, self.generation = params.task, params.modalities, params.generation
        self.backbone, self.head = backbone, head
        self.pretrained = pretrained_parts(backbone)
        self.prefix = SoftPrefix(entry, backbone.width, params.generation.prefix_slots)
        count = len(self.modalities)
        self.register_buffer("allocation", torch.full((count,), 1.0 / count))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "GenerationBaseline":
        """Return a model with first weights.

        Raises:
            ParamsError: if no decoder goes with the backbone, or a setting has no meaning here.
        """
        backbone, decoder = language_model(params, architecture)
        return cls(params, backbone, decoder, sum(fitted.widths.values()))

    def forward(self, batch: Batch) -> GenerationOutput:
        """Return the memory of a batch; the features are text and proxies side by side, as one slice."""
        assert batch.mask is not None
        states, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        together = torch.cat([batch.proxies[m] for m in self.modalities if m != "text"], dim=1)
        slots, nothing = self.prefix(together), together.new_zeros(())
        memory = Memory(states, batch.mask, Prefix(slots, slots, torch.ones_like(nothing), nothing))
        features = torch.cat([pooled.float(), together], dim=1).unsqueeze(1)
        empty = together.new_zeros(len(together), 0)
        return GenerationOutput(
            empty, features, features, features, memory=memory, states=states, raised=states
        )
