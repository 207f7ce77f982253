"""MPB at the blanks of a text, for hidden words; see `mase.baselines.mpb`."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mase.baselines.mpb import MultimodalProxyBaseline
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.blanks import BLANKS, BlankBatch, ClozeOutput, FillsBlanks, mean_by_row
from mase.model.word_head import WordHead
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class ClozeProxyBaseline(FillsBlanks, MultimodalProxyBaseline):
    """MPB at the blanks: the state there and the raw proxies side by side, before the masked-word head.

    Reading of the paper: "feed them into a classifier" is for labels. Here the concatenation enters the
    language model's own head through a linear layer that starts by passing the text's state on.
    """

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "ClozeProxyBaseline":
        """Return a model with first weights; the head takes the sum of all widths."""
        built = super().build(params, fitted, architecture)
        assert isinstance(built, cls)
        built.add_labels(params, built.backbone)
        return built

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the language model's head for hidden words, on a concatenation of this width."""
        return WordHead(width, backbone)

    def forward(self, batch: Batch) -> ClozeOutput:
        """Return the output for a batch; `pre` and `post` hold the concatenation as one slice."""
        blanks = batch.extras[BLANKS]
        assert isinstance(blanks, BlankBatch)
        states, _ = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        parts = [
            states.flatten(0, 1)[blanks.position] if m == "text" else batch.proxies[m][blanks.row]
            for m in self.modalities
        ]
        together = torch.cat(parts, dim=1)
        features = together.unsqueeze(1)
        return ClozeOutput(
            self.head(together), features, features, mean_by_row(features, blanks, len(batch)), blanks=blanks
        )
