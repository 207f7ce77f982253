"""MPB at the blanks of a text, for hidden words; see `mase.baselines.mpb`."""

from typing import TYPE_CHECKING

import torch

from mase.baselines.mpb import MultimodalProxyBaseline
from mase.model.batch import Batch
from mase.model.blanks import BLANKS, BlankBatch, ClozeOutput, FillsBlanks, mean_by_row

if TYPE_CHECKING:
    pass


class ClozeProxyBaseline(FillsBlanks, MultimodalProxyBaseline):
    """MPB at the blanks: the state there and the raw proxies side by side, before the masked-word head.

    Reading of the paper: "feed them into a classifier" is for labels. Here the concatenation enters the
    language model's own head through a linear layer that starts by passing the text's state on.
    """

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
