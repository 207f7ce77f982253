"""VAWI where the answer is a sentence: the decoder attends to the states of tokens and inserted vectors.

Reading of the paper: the vectors enter among the encoder's input embeddings, as in the other tasks; target
tokens get none. "Reformulation layer only" freezes encoder and decoder, so it needs a checkpoint that can
write as it is (T5); the decoder that is made from an encoder's layers has cross-attention which is new.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from mase.baselines.vawi.model import VisuallyAugmented
from mase.errors import ParamsError
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.decoder_loading import has_own_decoder
from mase.model.memory import Memory
from mase.model.writer import GenerationOutput, Writer, language_model, pretrained_parts
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class VisuallyAugmentedWriter(VisuallyAugmented, Writer):
    """An augmented encoder with its decoder; both are frozen where only the reformulation trains."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module):
        super().__init__()
        self.task, self.generation = params.task, params.generation
        self.backbone, self.head = backbone, head
        self.pretrained = pretrained_parts(backbone)
        if params.vawi.train == "reformulation":
            _check_decoder(params, backbone)
            head.requires_grad_(False)
        self.augment(params)

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "VisuallyAugmentedWriter":
        """Return a model with first weights; the vectors' layers are drawn after encoder and decoder.

        Raises:
            ParamsError: if no decoder goes with the backbone, it would be frozen untrained, or the backbone
                has too few positions for the row and its words.
        """
        return cls(params, *language_model(params, architecture))

    def forward(self, batch: Batch) -> GenerationOutput:
        """Return the memory of a batch: the states of tokens and vectors, and no prefix."""
        states, mask, pooled = self.read(batch)
        features, nothing = pooled.unsqueeze(1), pooled.new_zeros(len(pooled), 0)
        memory = Memory(states, mask, None)
        return GenerationOutput(
            nothing, features, features, features, memory=memory, states=states, raised=states
        )


def _check_decoder(params: Params, backbone: Backbone) -> None:
    if not has_own_decoder(backbone):
        raise ParamsError(
            f"vawi.train: reformulation freezes the decoder, and the one of backbone {params.backbone.name} "
            "would be new; take a T5 (--backbone t5-base) or set vawi.train to all"
        )
