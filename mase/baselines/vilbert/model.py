"""ViLBERT (Lu et al. 2019) for visual question answering, without and with MASE.

Two streams read the question's tokens and the picture's regions; before each of the language model's last
layers they attend to each other (`mase.baselines.vilbert.layers`). With t the pooled token state and v that
of the whole picture:

    answer = MLP(relu(W_t t) * relu(W_v v))

Reading of the paper: MASE is added to the language model (notes 4.27), so "+ MASE" puts h* of Eq. 1 in the
place of t: h^text is the token state after co-attention, proxies and the scene graph of the question are
added to it. With text alone and no graph, h* is t, and the model is ViLBERT. A modality's information is
what it tells beyond the streams, which every modality meets: they, with the training questions' mean in the
place of h^m, are the base. Since t has seen the picture, what its regions tell through t counts as the
text's.

The released model is pre-trained on Conceptual Captions; without its weights (`vilbert.checkpoint`) the
visual stream starts new, and the row says what the architecture does, not the pre-training.
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mase.baselines.vilbert.checkpoint import load_released
from mase.baselines.vilbert.layers import CoAttention, Layer, RegionEmbeddings
from mase.baselines.vilbert.text import LayeredBackbone
from mase.families.vqa import vqa_params
from mase.model.backbone import Backbone, pool
from mase.model.batch import Batch
from mase.model.mase import MaseModel, fusion_width
from mase.model.region_attention import REGIONS, RegionBatch
from mase.model.running_mean import RunningMean
from mase.model.task_model import MaseOutput
from mase.model.vqa import Answering
from mase.params import Params
from mase.params.streams import VilbertParams

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


@dataclass(frozen=True)
class Streams:
    """What both streams say of a batch.

    Attributes:
        before, tokens: (B, L, W) token states below co-attention, and at the end.
        token_mask: (B, L) which are real.
        text: (B, W) t, the pooled token state.
        regions, region_mask: (B, K, V) states, the whole picture first, and (B, K) which are real.
        knowledge: (B, L, W) of ConceptBert's third stream, if there is one.
    """

    before: Float[Tensor, "B L W"]
    tokens: Float[Tensor, "B L W"]
    token_mask: Bool[Tensor, "B L"]
    text: Float[Tensor, "B W"]
    regions: Float[Tensor, "B K V"]
    region_mask: Bool[Tensor, "B K"]
    knowledge: Float[Tensor, "B L W"] | None = None


@dataclass(frozen=True)
class StreamOutput(MaseOutput):
    """An output with its streams, which the E-step needs for one modality alone."""

    streams: Streams | None = None


class TwoStreams(nn.Module):
    """The visual stream and co-attention beside a language model's last layers."""

    def __init__(self, params: VilbertParams, backbone: Backbone, regions: int):
        super().__init__()
        hidden = getattr(backbone.config, "intermediate_size", 4 * backbone.width)
        self.embeddings = RegionEmbeddings(regions, params.width, params.dropout)
        self.bridges = nn.ModuleList(
            CoAttention(params, backbone.width, hidden) for _ in range(params.layers)
        )
        self.visual = nn.ModuleList(
            Layer(params.width, params.hidden, params.heads, params.dropout) for _ in range(params.layers)
        )

    def forward(self, backbone: LayeredBackbone, batch: Batch, regions: RegionBatch) -> Streams:
        """Return both streams of a batch."""
        assert batch.ids is not None and batch.mask is not None and batch.types is not None
        before, _ = backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        tokens, (seen, mask) = before, self.embeddings(regions)
        for number, (bridge, visual) in enumerate(zip(self.bridges, self.visual, strict=True)):
            seen, tokens = bridge(seen, mask, tokens, batch.mask)
            tokens = backbone.step(number, tokens, batch.mask, batch.types)
            seen = visual(seen, seen, mask)
        text = pool(tokens, batch.mask, backbone.params.pooling)
        return Streams(before, tokens, batch.mask, text, seen, mask)


class AnswerNetwork(nn.Module):
    """Linear, ReLU, dropout, linear, both weights normalised; its last biases are the answers' log odds."""

    def __init__(self, width: int, hidden: int, shares: tuple[float, ...], answers: int, dropout: float):
        super().__init__()
        last = nn.Linear(hidden, answers)
        if shares:
            with torch.no_grad():
                last.bias.copy_(torch.tensor(shares, dtype=torch.float64).logit(eps=1e-6))
        self.main = nn.Sequential(
            weight_norm(nn.Linear(width, hidden), dim=None),  # type: ignore[arg-type]
            nn.ReLU(),
            nn.Dropout(dropout),
            weight_norm(last, dim=None),  # type: ignore[arg-type]
        )

    def forward(self, features: Float[Tensor, "*B W"]) -> Float[Tensor, "*B A"]:
        """Return logits."""
        return self.main(features)


class TwoStreamModel(Answering, MaseModel):
    """Base of the models with two streams: MASE between the streams and the answer."""

    look = None
    of_every_method = frozenset()
    backbone: LayeredBackbone

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, *widths: Any):
        super(Answering, self).__init__(params, backbone, head, *widths)
        self.streams = TwoStreams(params.vilbert, backbone, vqa_params(params.task).region_width)
        self.questions = RunningMean(2, len(self.modalities), fusion_width(params, backbone))
        if params.vilbert.checkpoint is not None:
            self.pretrained = ("backbone.", "streams.")

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "TwoStreamModel":
        """Return a model with first weights, those of the released checkpoint where one is named.

        Raises:
            ParamsError: if the text enters by identity at another width than the backbone's, or the
                language model's layers cannot be run apart.
            CheckpointFormatError: see `load_released`.
        """
        model = super().build(params, fitted, architecture)
        assert isinstance(model, cls)
        if architecture is None and params.vilbert.checkpoint is not None:
            load_released(model, params.vilbert, fitted.labels)
        return model

    @classmethod
    def backbone_of(cls, params: Params, architecture: Path | None) -> LayeredBackbone:
        """Return the language model with its last layers apart."""
        return LayeredBackbone(params.backbone, params.vilbert.layers, architecture)

    @abstractmethod
    def joined(self, question: Float[Tensor, "B D"], streams: Streams) -> Float[Tensor, "B H"]:
        """Return what the answering network reads of a question's vector and the streams."""

    def read_streams(self, batch: Batch) -> Streams:
        """Return the streams of a batch."""
        return self.streams(self.backbone, batch, cast(RegionBatch, batch.extras[REGIONS]))

    def forward(self, batch: Batch) -> StreamOutput:
        """Return the output for a batch; in training its features move the mean question. No labels."""
        streams = self.read_streams(batch)
        pre = post = self.projection(streams.text, batch.proxies)
        if self.graph is not None and self.residual is not None and batch.graph is not None:
            post = self.residual(pre, *self.graph(streams.tokens, batch.graph))
        if self.training:
            self.questions.update(torch.stack([pre, post]).mean(1))
        logits = self.head(self.joined(self.sum(post, self.allocation), streams))
        return StreamOutput(logits, pre, post, self.compared(post), streams=streams)

    def answers(self, output: MaseOutput, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, A) and twice (B, M, A, 2) logits: each modality alone with the picture, and its base.

        The base is the same network on the same streams, with the training questions' mean h^m in the
        place of h^m. It is 0 before any training.
        """
        assert isinstance(output, StreamOutput) and output.streams is not None
        streams, constants = output.streams, self.questions.value.to(output.pre.dtype)
        before, after = (
            torch.stack([self._alone(h, streams), self._alone(mean.expand_as(h), streams)], dim=-1)
            for h, mean in zip((output.pre, output.post), constants, strict=True)
        )
        return output.logits, before, after

    def _alone(self, features: Float[Tensor, "B M D"], streams: Streams) -> Float[Tensor, "B M A"]:
        questions = self.sum.alone(features).unbind(1)
        return torch.stack([self.head(self.joined(question, streams)) for question in questions], dim=1)


class Vilbert(TwoStreamModel):
    """ViLBERT; its question vector is h*."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, *widths: Any):
        super().__init__(params, backbone, head, *widths)
        self.text_pooler = nn.Linear(fusion_width(params, backbone), params.vilbert.joint)
        self.visual_pooler = nn.Linear(params.vilbert.width, params.vilbert.joint)
        if params.vilbert.checkpoint is not None:
            self.pretrained = (*self.pretrained, "text_pooler.", "visual_pooler.")

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the answering network on the product of both pooled vectors."""
        joint, dropout = params.vilbert.joint, params.vilbert.head_dropout
        return AnswerNetwork(joint, 2 * joint, fitted.label_shares, len(fitted.labels), dropout)

    def joined(self, question: Float[Tensor, "B D"], streams: Streams) -> Float[Tensor, "B J"]:
        """Return relu(W_t h*) * relu(W_v v)."""
        return self.text_pooler(question).relu() * self.visual_pooler(streams.regions[:, 0]).relu()
