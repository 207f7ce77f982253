"""MASE for hidden words: the features are those of a blank, not of a row, and a vocabulary answers.

    h^text   the token state at the blank; h^m the proxy of the text without its blanks
    h_hat^m  with the read-out of the text's scene graph, as everywhere
    p(word)  the language model's own masked-word head on sum_m z_m h_hat^m

Only blanks go through the vocabulary.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mase.errors import ParamsError
from mase.model.batch import Batch
from mase.model.blanks import BLANKS, BlankBatch, ClozeOutput, FillsBlanks, blanks_of, mean_by_row
from mase.model.hidden_words import IGNORED
from mase.model.mase import MaseModel
from mase.model.task_model import MaseOutput
from mase.model.word_head import log_probabilities
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class ClozeModel(FillsBlanks, MaseModel):
    """MASE at the blanks of a text; text alone and the ablations are params of it."""

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> Self:
        """Return a model with first weights, as `MaseModel.build`.

        Raises:
            ParamsError: if a matched head is asked for: the head is the language model's own.
        """
        if params.head.match_parameters_of is not None or params.head.hidden:
            raise ParamsError(
                f"task {params.task.name}: the head is the language model's own, so head.hidden and "
                "head.match_parameters_of do not apply; take the supervised task for this control"
            )
        return super().build(params, fitted, architecture)

    def forward(self, batch: Batch) -> ClozeOutput:
        """Return the output for a batch; labels are not needed."""
        blanks = batch.extras[BLANKS]
        assert isinstance(blanks, BlankBatch)
        states, _ = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        text = states.flatten(0, 1)[blanks.position]  # (K, W)
        pre = self.projection(text, {m: proxies[blanks.row] for m, proxies in batch.proxies.items()})
        post = pre
        if self.graph is not None and self.residual is not None and batch.graph is not None:
            readout, occupied = self.graph(states, batch.graph)
            post = self.residual(pre, readout[blanks.row], occupied[blanks.row])
        logits = self.head(self.sum(post, self.allocation))
        compared = self.compared(mean_by_row(post, blanks, len(batch)))
        return ClozeOutput(logits, pre, post, compared, blanks=blanks)

    def answers(self, output: MaseOutput, labels: Int[Tensor, "B P"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return log p of the hidden tokens, (B, P), 0 where there is no blank: fused, and by modality."""
        fused = self._told(output, output.logits, labels)
        before, after = (
            torch.stack(
                [self._told(output, self.head(alone[:, i]), labels) for i in range(len(self.modalities))],
                dim=1,
            )
            for alone in (self.sum.alone(output.pre), self.sum.alone(output.post))
        )
        return fused, before, after

    def _told(
        self, output: MaseOutput, logits: Float[Tensor, "K V"], labels: Int[Tensor, "B P"]
    ) -> Float[Tensor, "B P"]:
        blanks = blanks_of(output)
        told = torch.zeros(labels.shape, dtype=torch.float32, device=labels.device)
        wanted = labels[blanks.row, blanks.slot].clamp_min(0)
        told[blanks.row, blanks.slot] = log_probabilities(logits.float(), wanted)
        return told * (labels != IGNORED)
