"""The M-step: one optimiser step on Eq. 9, the optimiser, and its schedule."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mase import ranks
from mase.em.losses import cross_modal_contrastive, mixture_loss, same_text_mask, total_loss
from mase.errors import TrainingError
from mase.families import Family, family_of
from mase.model.adapters import is_adapter
from mase.model.batch import Batch
from mase.model.mase import MaseModel
from mase.model.task_model import MaseOutput, TaskModel
from mase.params import Params, TrainingParams


def m_step_losses(
    output: MaseOutput, labels: Tensor, batch: Batch, params: Params, model: TaskModel, share: float = 1.0
) -> dict[str, Tensor]:
    """Return L_M and its parts, `total`, `task`, `contrastive` (Eqs. 7-9), of one batch.

    Args:
        share: of the rows of the whole batch that this rank's rows are. The task's losses of the ranks
            add up to that of the batch; the contrastive loss, whose negatives are the rows of all
            ranks, is the batch's on each.
    """
    if params.m_objective == "mixture":
        task = _mixture_loss(output, labels, family_of(params.task), model)
    else:
        task = model.task_loss(output, labels)
    task = task if share == 1 else share * task
    if params.contrastive.alpha == 0 or output.contrastive.shape[1] < 2:
        return {"total": task, "task": task, "contrastive": torch.zeros(())}
    own = len(output.contrastive) if share > 0 else 0
    features, keys = ranks.joined(output.contrastive[:own], batch.keys[:own])
    same = same_text_mask(keys).to(labels.device) if params.contrastive.mask_duplicates else None
    contrastive = cross_modal_contrastive(features, params.contrastive.tau, same)
    return {
        "total": total_loss(task, contrastive, params.contrastive.alpha),
        "task": task,
        "contrastive": contrastive,
    }


def _mixture_loss(output: MaseOutput, labels: Tensor, family: Family, model: TaskModel) -> Tensor:
    assert isinstance(model, MaseModel) and output.gate is not None and output.modality_logits is not None
    terms = family.likelihood(output.modality_logits, labels, model.head, model.log_sigma, standardised=True)
    return mixture_loss(output.gate, terms.outputs, terms.targets, sigma=terms.sigma)


def parameter_groups(model: nn.Module, params: TrainingParams) -> list[dict[str, object]]:
    """Return the optimiser's groups: the backbone and the new modules (adapters too), with and without decay.

    Biases, gains and gates take no weight decay.
    """
    pretrained = model.pretrained if isinstance(model, TaskModel) else TaskModel.pretrained
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith(pretrained) and not is_adapter(name), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": members,
            "lr": params.lr_backbone if backbone else params.lr_new,
            "weight_decay": params.weight_decay if decays else 0.0,
        }
        for (backbone, decays), members in sorted(groups.items(), key=lambda item: item[0])
    ]


class Optimiser:
    """AdamW with linear warm-up and linear decay over the step budget; never reset."""

    def __init__(self, model: nn.Module, params: TrainingParams, total_steps: int):
        self.model, self.clip = model, params.clip
        nothing = [nn.Parameter(torch.zeros(0))]  # what a zero-shot model learns; no step is taken on it
        self.adam = torch.optim.AdamW(parameter_groups(model, params) or nothing, fused=True)
        warmup = math.ceil(params.warmup * total_steps)

        def rate(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return max(0.0, (total_steps - step) / max(1, total_steps - warmup))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adam, rate)

    def step(self, loss: Tensor) -> None:
        """Take one step down the loss.

        Raises:
            TrainingError: if the loss is not finite.
        """
        if not bool(torch.isfinite(ranks.summed(loss))):
            raise TrainingError(
                f"the loss became {loss.item()}; lower training.lr_backbone or training.lr_new, "
                "or set training.precision to fp32"
            )
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        ranks.sum_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.adam.step()
        self.schedule.step()

    def state(self) -> dict[str, object]:
        """Return what a checkpoint must hold."""
        return {"adam": self.adam.state_dict(), "schedule": self.schedule.state_dict()["last_epoch"]}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from `state`."""
        self.adam.load_state_dict(state["adam"])  # type: ignore[arg-type]
        self.schedule.last_epoch = int(state["schedule"])  # type: ignore[call-overload]


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Return the last step's clipped gradient norm by part of the model, by modality for the projections."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            parts = name.split(".")
            group = parts[2] if parts[:2] == ["projection", "project"] else parts[0]
            squares[group] = squares.get(group, 0.0) + float(parameter.grad.square().sum())
    return {group: math.sqrt(value) for group, value in squares.items()}
