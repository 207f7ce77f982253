"""Visual question answering: a question stream, and where the user has features, a region stream.

The question stream is MASE, or a baseline, as in every other family: one vector q of the question.
Without region features the head reads q, a question-only model. With them the image enters as in
Up-Down (Anderson et al. 2018, sections 3.2 and 3.3): q attends over the k regions, and the head reads the
product of both. The regions' features are frozen, what reads them trains.

Reading of the paper: MASE is added to the language model (notes 4.27), so q is all that it changes. The
detector's pre-trained streams of ViLBERT and ConceptBert are not rebuilt here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.baselines.mc_ptm import TowerWithHead, TunedTower
from mase.baselines.mpb import MultimodalProxyBaseline
from mase.data import Rows
from mase.data.regions import open_regions
from mase.errors import DataError
from mase.families.vqa import answer_ids, vqa_params
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.heads import Head
from mase.model.mase import MaseModel
from mase.model.region_attention import REGIONS, RegionAttention, RegionBatch, RegionInput
from mase.model.running_mean import RunningMean
from mase.model.task_model import Extra, MaseOutput, Split, TaskModel, task_head
from mase.params import Params, TaskParams

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables


@dataclass(frozen=True)
class VqaOutput(MaseOutput):
    """An output with the regions that it looked at, which the E-step needs for one modality alone."""

    regions: RegionBatch | None = None


class Answering(TaskModel):
    """What every method does in a VQA task: read regions, take answers as targets, name the best one."""

    look: RegionAttention | None
    of_every_method = frozenset({"look"})

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> dict[str, Extra]:
        """Return the region features of the rows' images, if the task has any.

        Raises:
            DataError: if an image has none, or the rows are texts without images.
        """
        asked = vqa_params(params.task)
        if not asked.regions:
            return {}
        if rows.groups is None:
            raise DataError(
                f"task {params.task.name} was trained with region features, which a question alone does not "
                "have; predict with a question-only model (task vqa_v2)"
            )
        store = open_regions(params.task, params.data)
        store.require(rows.groups, asked.region_width)
        return {REGIONS: RegionInput(store, rows.groups)}

    @classmethod
    def targets(cls, params: Params, split: Split) -> Tensor:
        """Return the class of every person's answer, (n, K)."""
        return answer_ids(split.rows.references or (), split.fitted.labels)

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return the class of the best `answer` and the `confidence` in it, in [0, 1]."""
        confidence, answer = self(batch).logits.float().sigmoid().max(dim=-1)
        return {"answer": answer, "confidence": confidence}

    def asked(self, output: MaseOutput) -> Float[Tensor, "B D"]:
        """Return q, the vector of the question."""
        return output.post[:, 0]

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch."""
        output = cast(MaseOutput, super().forward(batch))
        if self.look is None:
            return output
        regions = cast(RegionBatch, batch.extras[REGIONS])
        logits = self.head(self.look(self.asked(output), regions))
        return VqaOutput(logits, output.pre, output.post, output.contrastive, regions=regions)


def region_attention(task: TaskParams, width: int) -> RegionAttention | None:
    """Return the region stream beside a question vector of this width; None for question-only tasks."""
    params = vqa_params(task)
    return RegionAttention(width, params.region_width, width) if params.regions else None


def width_read_by(head: nn.Module) -> int:
    """Return the width of the vectors that a head takes."""
    assert isinstance(head, Head)
    return (head.output if head.hidden is None else head.hidden).in_features


def answer_head(params: Params, fitted: "Fitted", width: int) -> Head:
    """Return the head, whose first biases are the log odds of the training answers.

    So training starts at the best constant: thousands of answers are nearly always wrong, and a
    head that starts at even odds needs most of the steps to learn just that.
    """
    head = task_head(params, fitted, width)
    if fitted.label_shares:
        shares = torch.tensor(fitted.label_shares, dtype=torch.float64)
        with torch.no_grad():
            head.output.bias.copy_(shares.logit(eps=1e-6))
    return head


class VqaModel(Answering, MaseModel):
    """MASE as the question stream."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, *widths: Any):
        super().__init__(params, backbone, head, *widths)
        width = params.fusion.width or backbone.width
        self.look = region_attention(params.task, width)
        if self.look is not None:
            self.questions = RunningMean(2, len(self.modalities), width)

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the head on h*, or on the joint vector, which is as wide."""
        return answer_head(params, fitted, width)

    def asked(self, output: MaseOutput) -> Float[Tensor, "B D"]:
        """Return h* (Eq. 1)."""
        return self.sum(output.post, self.allocation)

    def answers(self, output: MaseOutput, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, A) and twice (B, M, A) logits; with regions (B, M, A, 2), each modality beside them.

        The second of the two is the base that the first is judged against: the same head on the same
        regions, with the training questions' mean h^m in the place of h^m. It is 0 before any training.
        """
        if self.look is None or not isinstance(output, VqaOutput) or output.regions is None:
            return super().answers(output, labels)
        regions, constants = output.regions, self.questions.value.to(output.pre.dtype)
        before, after = (
            torch.stack([self._alone(h, regions), self._alone(mean.expand_as(h), regions)], dim=-1)
            for h, mean in zip((output.pre, output.post), constants, strict=True)
        )
        return output.logits, before, after

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; in training its features move the mean question. No labels."""
        output = super().forward(batch)
        if self.training and self.look is not None:
            self.questions.update(torch.stack([output.pre, output.post]).mean(1))
        return output

    def _alone(self, features: Float[Tensor, "B M D"], regions: RegionBatch) -> Float[Tensor, "B M A"]:
        assert self.look is not None
        questions = self.sum.alone(features).unbind(1)
        return torch.stack([self.head(self.look(question, regions)) for question in questions], dim=1)


class VqaProxyBaseline(Answering, MultimodalProxyBaseline):
    """MPB: q is the concatenation."""

    def __init__(self, task: TaskParams, backbone: Backbone, head: nn.Module, modalities: Sequence[Any]):
        super().__init__(task, backbone, head, modalities)
        self.look = region_attention(task, width_read_by(head))

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the head on the concatenation, or on the joint vector, which is as wide."""
        return answer_head(params, fitted, width)


class VqaTower(Answering, TowerWithHead):
    """MC-PTM: q is one tower's vector of the question."""

    def __init__(self, task: TaskParams, head: nn.Module, modality: Any):
        super().__init__(task, head, modality)
        self.look = region_attention(task, width_read_by(head))

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", width: int) -> nn.Module:
        """Return the head on the tower's vector, or on the joint vector, which is as wide."""
        return answer_head(params, fitted, width)


class VqaTunedTower(VqaTower, TunedTower):
    """MC-PTM whose tower trains."""

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> dict[str, Extra]:
        """Return the questions as the tower's tokens, and the region features, if the task has any."""
        regions = super().extras(params, fitted, tables, rows, aligned)
        return {**super(Answering, cls).extras(params, fitted, tables, rows, aligned), **regions}
