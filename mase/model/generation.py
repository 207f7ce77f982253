"""Generation with proxies as a soft prefix of what the decoder attends to (Section 3.4, for sentences).

Reading of the paper: "the objective of the M-step" is replaced "with the text generation objective", and
no more is said of where the proxies enter. Here h^text is the encoder's token states, the proxies are a soft
prefix beside them (`mase.model.memory`), L_task is the mean loss per target token, and L_cc compares the
pooled states with the proxies. p(y | h^m), which the E-step needs, is the decoder on one of them alone: on
the text without a prefix, or on the slots of one proxy without the text. Knowing nothing of h^m is the same
decoder on the mean of h^m over training batches (`RunningMean`), so what it knows from the target tokens
before is credited to no modality: what is measured is I(h^m; y_t | y_<t). The read-out of HGAT enters a
proxy's h^m as in every task, and is added to each token state for the text, both through their gates.
`fusion.rescale` has no use here: attention is normalised.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mase.errors import ParamsError
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.fusion import STRIDE, finite_log
from mase.model.mase import MaseModel
from mase.model.memory import Memory, Prefix
from mase.model.running_mean import RunningMean
from mase.model.task_model import MaseOutput
from mase.model.writer import GenerationOutput, SoftPrefix, Writer, language_model, pretrained_parts
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted


class GenerationModel(Writer, MaseModel):
    """Full MASE for sentences; text-only and the ablations are params of it."""

    def __init__(self, params: Params, backbone: Backbone, head: nn.Module, *widths: Any):
        super().__init__(params, backbone, head, *widths)
        self.generation = params.generation
        self.pretrained = pretrained_parts(backbone)
        self.prefix = None
        if len(self.modalities) > 1:
            self.prefix = SoftPrefix(backbone.width, backbone.width, params.generation.prefix_slots)
        shape = (1 + len(self.modalities), backbone.width)
        self.typical_pre, self.typical_post = RunningMean(*shape), RunningMean(*shape)

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "GenerationModel":
        """Return a model with first weights; backbone and decoder are drawn before what is added to them.

        Raises:
            ParamsError: if no decoder goes with the backbone, or a setting has no meaning here.
        """
        backbone, decoder = language_model(params, architecture)
        if params.fusion.width not in (None, backbone.width):
            raise ParamsError(
                f"fusion.width: {params.fusion.width}, but a sentence is written at the backbone's "
                f"{backbone.width}; leave it out"
            )
        return cls(params, backbone, decoder, fitted.widths, fitted.node_widths, fitted.relations)

    def forward(self, batch: Batch) -> GenerationOutput:
        """Return the memory of a batch, with the stored allocation; labels are not needed."""
        assert batch.mask is not None
        states, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        pre = self.projection(pooled, batch.proxies)
        post, raised = pre, states
        if self.graph is not None and self.residual is not None and batch.graph is not None:
            readout, occupied = self.graph(states, batch.graph)
            post = self.residual(pre, readout, occupied)
            text = STRIDE * self.residual.gamma[0] * readout[:, 0] * occupied[:, None]
            raised = states + text[:, None, :]
        if self.training:
            self.typical_pre.update(_typical(states, batch.mask, pre))
            self.typical_post.update(_typical(raised, batch.mask, post))
        memory = Memory(raised, batch.mask, self._mixed_prefix(post))
        nothing = post.new_zeros(len(post), 0)
        return GenerationOutput(
            nothing, pre, post, self.compared(post), memory=memory, states=states, raised=raised
        )

    def answers(self, output: MaseOutput, labels: Int[Tensor, "B T"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return log p of each target token given those before it, teacher-forced.

        Returns:
            (B, T) with the text and the prefix; (B, M, T, 2) of each modality alone before the graph, and
            after: log p given h^m, and given the training mean of h^m in its place.
        """
        assert isinstance(output, GenerationOutput) and output.memory.mask is not None
        mask = output.memory.mask
        pre = self._told_and_base(output.states, mask, output.pre, self.typical_pre, labels)
        post = pre
        if self.graph is not None:
            post = self._told_and_base(output.raised, mask, output.post, self.typical_post, labels)
        return self.log_probabilities(output.memory, labels), pre, post

    def _told_and_base(
        self,
        states: Float[Tensor, "B L W"],
        mask: Bool[Tensor, "B L"],
        features: Float[Tensor, "B M W"],
        typical: RunningMean,
        labels: Int[Tensor, "B T"],
    ) -> Float[Tensor, "B M T 2"]:
        there = torch.ones_like(mask[:1, :1])  # the mean is a batch of one row with one token, for all rows
        mean = typical.value.to(features.dtype)
        nothing = self._alone(mean[None, :1], there, mean[None, 1:])
        answers = [
            torch.stack([self.log_probabilities(memory, labels) for memory in memories], dim=1)
            for memories in (self._alone(states, mask, features), nothing)
        ]
        return torch.stack(answers, dim=-1)

    def _mixed_prefix(self, features: Float[Tensor, "B M D"]) -> Prefix | None:
        """Return the slots sum over m of z_m P(h^m) / (1 - z_text), and the bias that goes with them."""
        if self.prefix is None:
            return None
        slots = self.prefix(features[:, 1:])  # (B, M - 1, K, W)
        others = self.allocation[1:].sum()
        shares = self.allocation[1:] / others.clamp_min(torch.finfo(others.dtype).tiny)
        gated = shares * self.sum.gates()[1:]
        return Prefix(
            keys=torch.einsum("bmkw,m->bkw", slots, shares),
            values=torch.einsum("bmkw,m->bkw", slots, gated),
            gate=gated.sum(),
            log_odds=finite_log(others) - finite_log(self.allocation[0]),
        )

    def _alone(
        self, states: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"], features: Float[Tensor, "B M D"]
    ) -> list[Memory]:
        """Return the memory of each modality alone; a gate's size is no information, its sign is."""
        memories = [Memory(states, mask, None)]
        if self.prefix is not None:
            slots, signs = self.prefix(features[:, 1:]), torch.sign(self.sum.gates()[1:])
            for number, sign in enumerate(signs):
                one = slots[:, number]
                memories.append(Memory(None, None, Prefix(one, sign * one, sign, sign.new_zeros(()))))
        return memories


def _typical(
    states: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"], features: Float[Tensor, "B M W"]
) -> Float[Tensor, "1+M W"]:
    """Return the mean token state of a batch's texts, then the mean of every h^m."""
    return torch.cat([states[mask].float().mean(0, keepdim=True), features.float().mean(0)])
