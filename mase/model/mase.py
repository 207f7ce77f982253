"""MASE as one module: features, graph, weighted sum, head (Figure 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.errors import ParamsError
from mase.families import family_of
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.fusion import GraphResidual, MixtureGate, ModalityProjection, WeightedSum
from mase.model.heads import Head
from mase.model.matched_head import text_alone
from mase.model.mssg import SceneGraphInjection
from mase.model.prompt_head import PromptHead
from mase.model.task_model import MaseOutput, TaskModel, task_head
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class MaseModel(TaskModel):
    """The full model; text-only, the ablations and the controls are params of it.

    With `m_objective: mixture`, p(y | x) = sum_m g_m(x) p(y | h_hat^m), in training and at test,
    with z in the gate g as its prior (`MixtureGate`).

    Args:
        params: the run's params.
        backbone: the language model.
        proxy_widths: per proxy modality, the width of a sentence's features.
        node_widths: per proxy modality, the width of a node's features (empty without MSSG).
        relations: R, the size of the relation inventory (0 without MSSG).
        head: the task head, built before the rest so that its first weights do not depend
            on which modalities there are.
    """

    allocation: Tensor
    reading: tuple[Any, Any] | None = None  # `Fitted` and tokenizer, of a model that was loaded

    def __init__(
        self,
        params: Params,
        backbone: Backbone,
        head: nn.Module,
        proxy_widths: Mapping[Modality, int],
        node_widths: Mapping[Modality, int],
        relations: int,
    ):
        super().__init__()
        self.params, self.task, self.modalities = params, params.task, params.modalities
        self.backbone, self.head = backbone, head
        width = fusion_width(params, backbone)
        widths: dict[Modality, int] = {"text": backbone.width, **proxy_widths}
        self.projection = ModalityProjection(params.fusion, self.modalities, widths, width)
        self.sum = WeightedSum(params.fusion, self.modalities)
        self.graph = self.residual = None
        if params.graph is not None:
            nodes: dict[Modality, int] = {"text": backbone.width, **node_widths}
            self.graph = SceneGraphInjection(params.graph, self.modalities, nodes, width, relations)
            self.residual = GraphResidual(params.fusion, self.modalities, width)
        self.contrastive_head = None
        if params.contrastive.head_width and params.contrastive.alpha > 0 and len(self.modalities) > 1:
            self.contrastive_head = nn.ModuleDict(
                {m: nn.Linear(width, params.contrastive.head_width) for m in self.modalities}
            )
        self.mixture_gate = self.log_sigma = None
        if params.m_objective == "mixture":
            self.mixture_gate = MixtureGate(len(self.modalities), width)
            self.log_sigma = nn.Parameter(torch.zeros(()))
        count = len(self.modalities)
        self.register_buffer("allocation", torch.full((count,), 1.0 / count))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "MaseModel":
        """Return a model with first weights.

        The backbone and the head are built first, so that runs which differ only in what is
        added to them start from the same weights.

        Raises:
            ParamsError: if the text enters by identity at another width than the backbone's.
        """
        backbone = cls.backbone_of(params, architecture)
        if params.head.match_parameters_of is not None:
            params = text_alone(cls, params, fitted, backbone.width)
        width = fusion_width(params, backbone)
        if params.fusion.text_entry == "identity" and width != backbone.width:
            raise ParamsError(
                f"fusion.width: {width}, but the text enters by identity at the backbone's {backbone.width}"
            )
        head = cls.head_of(params, fitted, backbone, width)
        return cls(params, backbone, head, fitted.widths, fitted.node_widths, fitted.relations)

    @classmethod
    def backbone_of(cls, params: Params, architecture: Path | None) -> Backbone:
        """Return the language model."""
        return Backbone(params.backbone, architecture)

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the head on h* of this width."""
        if params.head.kind != "linear":
            return PromptHead(params, backbone, width, fitted.label_mean, fitted.label_deviation)
        return task_head(params, fitted, width)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "MaseModel":
        """Load a trained model; see `mase.pretrained.model_from_pretrained`."""
        from mase.pretrained import model_from_pretrained

        return model_from_pretrained(folder)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write a model that was loaded; see `mase.pretrained.save_model`."""
        from mase.pretrained import save_model

        save_model(self, folder)

    def read(self, batch: Batch) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return the backbone's token states, and h^text."""
        return self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)

    def features(self, batch: Batch) -> tuple[Float[Tensor, "B M D"], Float[Tensor, "B M D"]]:
        """Return h^m and h_hat^m of a batch."""
        states, pooled = self.read(batch)
        pre = self.projection(pooled, batch.proxies)
        if self.graph is None or self.residual is None or batch.graph is None:
            return pre, pre
        readout, occupied = self.graph(states, batch.graph)
        return pre, self.residual(pre, readout, occupied)

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch, with the stored allocation; labels are not needed."""
        pre, post = self.features(batch)
        contrastive = self.compared(post)
        if self.mixture_gate is None:
            return MaseOutput(self.head(self.sum(post, self.allocation)), pre, post, contrastive)
        assert isinstance(self.head, Head)
        gate = self.mixture_gate(self.head.examples(post), self.allocation)  # (B, M)
        alone = self.head(post)  # (B, M, C)
        mixed = family_of(self.params.task).mixture(gate, alone)
        return MaseOutput(mixed, pre, post, contrastive, alone, gate)

    def compared(self, features: Float[Tensor, "B M D"]) -> Float[Tensor, "B M Dc"]:
        """Return what Eq. 8 compares: features, or what the modalities' contrastive heads make of them."""
        if self.contrastive_head is None:
            return features
        columns = [self.contrastive_head[m](features[:, i]) for i, m in enumerate(self.modalities)]
        return torch.stack(columns, dim=1)

    def modality_logits(self, features: Float[Tensor, "B M D"]) -> Float[Tensor, "B M C"]:
        """Return the shared head's answer to each modality alone: Eq. 1 with a one-hot z."""
        return self.head(self.sum.alone(features))

    def answers(self, output: MaseOutput, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the E-step judges, on labelled rows.

        Returns:
            (B, *C) answers to the fused features, (B, M, *C) to each modality alone before the graph,
            and after it; what C is, the family says.
        """
        return output.logits, self.modality_logits(output.pre), self.modality_logits(output.post)


def fusion_width(params: Params, backbone: Backbone) -> int:
    """Return D: `fusion.width`, or the backbone's width."""
    return params.fusion.width or backbone.width
