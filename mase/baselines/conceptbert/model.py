"""ConceptBert (Garderes et al. 2020, version 3 of its code) for visual questions, with and without MASE.

ViLBERT's two streams; a third in which the tokens, as they are below co-attention, attend to ConceptNet's
vectors of the question's words; and one trilinear attention over regions, tokens and knowledge, from which a
network answers. The vectors come from a user's file (`conceptbert.vectors`).

Reading of the paper: MASE is added to the language model (notes 4.27), whose token states q_j enter the
fusion here, not one vector. So "+ MASE" gives q_j + (h* - h^text) in their place: their pooled state is h*.
With text alone and no graph nothing is added, and the model is ConceptBert.

Where it differs from the released code: the knowledge stream has `conceptbert.layers` layers, not as many as
the language model, and starts from the states below co-attention, not from the embeddings; words are the
question's, not its word pieces. Its checkpoint gives the two streams only (`..vilbert.checkpoint`).

The accuracy that its repository reports on val (80.99) is of a model that was trained on most of val; what
`task.vqa.split` does about it is in `mase.data.vqa_splits`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from mase.baselines.conceptbert.fusion import TrilinearFusion
from mase.baselines.conceptbert.knowledge import CONCEPTS, ConceptBatch, ConceptInput, KnowledgeTransformer
from mase.baselines.vilbert.model import AnswerNetwork, Streams, TwoStreamModel
from mase.data import Rows
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.task_model import Extra
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables


class Conceptbert(TwoStreamModel):
    """ConceptBert; its question stream is the tokens with MASE's h* in the place of their pooled state."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, *widths: Any):
        super().__init__(params, backbone, head, *widths)
        own, width, config = params.conceptbert, backbone.width, backbone.config
        hidden = getattr(config, "intermediate_size", 4 * width)
        heads, dropout = int(config.num_attention_heads), params.vilbert.dropout
        self.knowledge = KnowledgeTransformer(own, width, hidden, heads, dropout)
        self.fusion = TrilinearFusion(own, (params.vilbert.width, width, width))

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the answering network on the glimpses."""
        joint, dropout = params.conceptbert.glimpses * params.conceptbert.width, params.vilbert.head_dropout
        return AnswerNetwork(joint, 2 * joint, fitted.label_shares, len(fitted.labels), dropout)

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> dict[str, Extra]:
        """Return the regions, and the vectors of the questions' words.

        Raises:
            DataError: if an image has no regions, or the file of vectors is missing or broken.
        """
        seen: Mapping[str, Extra] = super().extras(params, fitted, tables, rows, aligned)
        return {**seen, CONCEPTS: ConceptInput(params.conceptbert, rows.texts_a)}

    def read_streams(self, batch: Batch) -> Streams:
        """Return the streams of a batch, knowledge among them."""
        streams = super().read_streams(batch)
        concepts = cast(ConceptBatch, batch.extras[CONCEPTS])
        return replace(streams, knowledge=self.knowledge(streams.before, concepts))

    def joined(self, question: Float[Tensor, "B W"], streams: Streams) -> Float[Tensor, "B J"]:
        """Return the glimpses."""
        assert streams.knowledge is not None
        words = streams.tokens + (question - streams.text).unsqueeze(1)
        return self.fusion(
            (streams.regions, streams.region_mask),
            (words, streams.token_mask),
            (streams.knowledge, streams.token_mask),
        )
