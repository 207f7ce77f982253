"""MASE as one module: features, graph, weighted sum, head (Figure 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.families import family_of
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.fusion import GraphResidual, MixtureGate, ModalityProjection, WeightedSum
from mase.model.heads import Head
from mase.model.mssg import SceneGraphInjection
from mase.params import Params


@dataclass(frozen=True)
class MaseOutput:
    """What a forward pass knows.

    Attributes:
        logits: (B, C) class logits, or (B, 1) scores; with `m_objective: mixture` the log
            probabilities (or the mean) of the mixture.
        pre, post: (B, M, D) features h^m before and h_hat^m after the graph; in multiple choice these and
            `contrastive` have a row per choice, all else a row per question.
        contrastive: (B, M, Dc) what Eq. 8 compares.
        modality_logits: (B, M, C) p(y | h_hat^m) per modality; mixture objective only.
        gate: (B, M) log g_m(x), the prior z moved by the gate; mixture objective only.
    """

    logits: Float[Tensor, "B C"]
    pre: Float[Tensor, "B M D"]
    post: Float[Tensor, "B M D"]
    contrastive: Float[Tensor, "B M Dc"]
    modality_logits: Float[Tensor, "B M C"] | None = None
    gate: Float[Tensor, "B M"] | None = None


class MaseModel(nn.Module):
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
        head: Head,
        proxy_widths: Mapping[Modality, int],
        node_widths: Mapping[Modality, int],
        relations: int,
    ):
        super().__init__()
        self.params, self.modalities = params, params.modalities
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
    def from_pretrained(cls, folder: Path | str) -> "MaseModel":
        """Load a trained model; see `mase.model.pretrained.model_from_pretrained`."""
        from mase.model.pretrained import model_from_pretrained

        return model_from_pretrained(folder)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write a model that was loaded; see `mase.model.pretrained.save_model`."""
        from mase.model.pretrained import save_model

        save_model(self, folder)

    def features(self, batch: Batch) -> tuple[Float[Tensor, "B M D"], Float[Tensor, "B M D"]]:
        """Return h^m and h_hat^m of a batch."""
        states, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        pre = self.projection(pooled, batch.proxies)
        if self.graph is None or self.residual is None or batch.graph is None:
            return pre, pre
        readout, occupied = self.graph(states, batch.graph)
        return pre, self.residual(pre, readout, occupied)

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch, with the stored allocation; labels are not needed."""
        pre, post = self.features(batch)
        contrastive = post
        if self.contrastive_head is not None:
            columns = [self.contrastive_head[m](post[:, i]) for i, m in enumerate(self.modalities)]
            contrastive = torch.stack(columns, dim=1)
        if self.mixture_gate is None:
            return MaseOutput(self.head(self.sum(post, self.allocation)), pre, post, contrastive)
        gate = self.mixture_gate(self.head.examples(post), self.allocation)  # (B, M)
        alone = self.head(post)  # (B, M, C)
        mixed = family_of(self.params.task).mixture(gate, alone)
        return MaseOutput(mixed, pre, post, contrastive, alone, gate)

    def modality_logits(self, features: Float[Tensor, "B M D"]) -> Float[Tensor, "B M C"]:
        """Return the shared head's answer to each modality alone: Eq. 1 with a one-hot z."""
        return self.head(self.sum.alone(features))


def fusion_width(params: Params, backbone: Backbone) -> int:
    """Return D: `fusion.width`, or the backbone's width."""
    return params.fusion.width or backbone.width
