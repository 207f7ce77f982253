"""The E-step: information of each modality about the labels, and the new allocation.

One pass without gradients over a held-out slice of the training set (never dev, never
test). Labels are used here and in the losses only; a forward pass has none.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mase.em.allocation import updated_allocation
from mase.em.information import Information
from mase.em.losses import mixture_loss, responsibilities
from mase.em.probe import probe_logits
from mase.families import family_of
from mase.families.family import Likelihood
from mase.modalities import Modality
from mase.model.batch import Batch
from mase.model.fusion import finite_log
from mase.model.inference import device_of, in_row_order
from mase.model.inputs import Inputs
from mase.model.mase import MaseModel
from mase.params import Params


@dataclass(frozen=True)
class Labelled:
    """Rows of a split and, beside them, their labels.

    Attributes:
        inputs: label-free inputs of the whole split.
        labels: (n,) class ids or scores of these rows.
        rows: which rows of the split these are; all of them by default.
    """

    inputs: Inputs
    labels: Tensor
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Return token counts."""
        return self.inputs.lengths if self.rows is None else self.inputs.lengths[self.rows]

    def batch(self, indices: np.ndarray) -> Batch:
        """Return a label-free batch of some of these rows."""
        return self.inputs.batch(indices if self.rows is None else self.rows[indices])

    def labels_of(self, indices: np.ndarray) -> Tensor:
        """Return the labels that go with `batch(indices)`."""
        return self.labels[torch.from_numpy(indices)]

    def subset(self, indices: np.ndarray) -> "Labelled":
        """Return some of these rows."""
        rows = indices if self.rows is None else self.rows[indices]
        return Labelled(self.inputs, self.labels_of(indices), rows)


@dataclass(frozen=True)
class SliceOutput:
    """The model's answers on a slice, rows in the slice's order.

    Attributes:
        logits: (N, *C) fused prediction, in evaluation mode.
        pre, post: (N, M, *C) the shared head on each modality alone, before and after the graph.
        features: (N, M, D) the features that `allocation.features` names, for probes only.
        modality_logits, gate: (N, M, C) and (N, M), the mixture's p(y | h_hat^m) and log g_m(x);
            mixture objective only.
    """

    logits: Float[Tensor, "N *C"]
    pre: Float[Tensor, "N M *C"]
    post: Float[Tensor, "N M *C"]
    features: Float[Tensor, "N M D"] | None = None
    modality_logits: Float[Tensor, "N M C"] | None = None
    gate: Float[Tensor, "N M"] | None = None


@torch.no_grad()
def answers(model: MaseModel, rows: Labelled, batch_size: int) -> SliceOutput:
    """Run the model over a slice, each modality alone and all together, in evaluation mode."""
    model.eval()
    features = model.params.allocation.features if model.params.allocation.head == "probe" else None

    def answer(indices: np.ndarray) -> dict[str, Tensor]:
        output = model(rows.batch(indices).to(device_of(model)))
        fused, pre, post = model.answers(output, rows.labels_of(indices).to(device_of(model)))
        found = {
            "logits": fused,
            "pre": pre,
            "post": post,
            "features": None if features is None else getattr(output, features),
            "modality_logits": output.modality_logits,
            "gate": output.gate,
        }
        return {
            k: v.to(torch.promote_types(v.dtype, torch.float32)).cpu()
            for k, v in found.items()
            if v is not None
        }

    return SliceOutput(**in_row_order(rows.lengths, batch_size, answer))


def estimate(
    params: Params, logits: Float[Tensor, "N M *C"], labels: Tensor, prior: Tensor | None
) -> dict[Modality, Information]:
    """Return I(h^m; y) = H(y) - H(y | h^m) in nats for every modality (Eq. 10).

    Reading of the paper: p(y | h^m) is the task's shared head on h^m alone, since Eq. 1
    with a one-hot z is h^m; the Monte-Carlo estimate is the mean over the slice. With
    `calibrate` each modality first gets its own temperature and bias, cross-fitted on
    halves of the slice, and H(y) is the best constant prediction's loss.
    """
    family, calibrate = family_of(params.task), params.allocation.calibrate
    return {
        m: family.information(logits[:, i], labels, calibrate=calibrate, prior=prior)
        for i, m in enumerate(params.modalities)
    }


@dataclass(frozen=True)
class EStep:
    """What one E-step found.

    Attributes:
        allocation: (M,) the new weights.
        information, pre, post: by modality; as the params name it, before and after the graph.
        objective: mean log likelihood of the rows under the old weights, nats.
        gate_centre: (M,) of a mixture, the centre of the gate that goes with the new weights.
    """

    allocation: Tensor
    information: dict[Modality, Information]
    pre: dict[Modality, Information]
    post: dict[Modality, Information]
    objective: float
    gate_centre: Tensor | None = None


def log_likelihood(output: SliceOutput, labels: Tensor, model: MaseModel) -> float:
    """Return the mean log p(y | x) of the slice in nats, with all constants.

    The mixture's own where that is the objective; else of the fused prediction. A score's
    density is per unit of the label: Gaussian, with the deviation of the training labels
    around the fused prediction, with the learnt one around those of a mixture.
    """
    if output.gate is not None and output.modality_logits is not None:
        terms = _likelihood(model, output.modality_logits, labels)
        return -float(mixture_loss(output.gate, terms.outputs, terms.targets, sigma=terms.sigma))
    return float(family_of(model.task).log_likelihood(output.logits, labels, model.head).mean())


def _likelihood(model: MaseModel, alone: Float[Tensor, "N M C"], labels: Tensor) -> Likelihood:
    """Return the terms of log p(y | h^m), scores in label units, on the processor."""
    log_sigma = None if model.log_sigma is None else model.log_sigma.detach().cpu()
    terms = family_of(model.params.task).likelihood(alone, labels, model.head, log_sigma, standardised=False)
    return replace(terms, sigma=None if terms.sigma is None else terms.sigma.cpu())


def _mixture_step(
    output: SliceOutput, labels: Tensor, model: MaseModel
) -> tuple[Float[Tensor, "M"], Float[Tensor, "M"]]:
    """Return the means of the gate g and of the responsibilities r, from the mixture's own answers (Eq. 5).

    For g = softmax(log z + a) and fixed a, changing z to z' changes Q = mean_i r_i . log g_i by
    r . log(z'/z) - mean_i log(g_i . z'/z) >= r . log(z'/z) - log(g . z'/z), by Jensen, r and g
    now the means; the right side is largest, KL(r || g) >= 0, at z' ~ z r / g, one step of
    generalised iterative scaling. Shifting a so that z = g leaves every g_i as it is, and then
    z' = r, the mean responsibility, as in a mixture where a = 0. Part of the way there
    (`allocation.ema`) raises Q as well; `allocation.floor` need not.
    """
    assert output.gate is not None and output.modality_logits is not None
    terms = _likelihood(model, output.modality_logits, labels)
    posterior = responsibilities(output.gate, terms.outputs, terms.targets, sigma=terms.sigma)
    return output.gate.exp().mean(0), posterior.mean(0)


def e_step(model: MaseModel, estimation: Labelled, training: Labelled, prior: Tensor | None) -> EStep:
    """Estimate the allocation with Theta fixed (Eqs. 5, 10, 11): from information, or by EM for a mixture.

    Args:
        estimation: the rows the information is measured on.
        training: training rows, used by `allocation.head: probe` to fit the probes.
        prior: (C,) label frequencies of the training set, for the raw H(y).
    """
    params = model.params
    output = answers(model, estimation, params.training.eval_batch_size)
    pre = estimate(params, output.pre, estimation.labels, prior)
    post = estimate(params, output.post, estimation.labels, prior)
    information = pre if params.allocation.features == "pre" else post
    if params.allocation.head == "probe":
        seen = answers(model, training, params.training.eval_batch_size)
        assert seen.features is not None and output.features is not None
        logits = probe_logits(params, seen.features, training.labels, output.features)
        information = estimate(params, logits, estimation.labels, prior)
    objective = log_likelihood(output, estimation.labels, model)
    floor, ema = params.allocation.floor, params.allocation.ema
    before, centre = model.allocation.cpu(), None
    if model.mixture_gate is not None:
        gate, values = _mixture_step(output, estimation.labels, model)
        centre = model.mixture_gate.centre.cpu() + finite_log(gate) - finite_log(before)
        before = gate
    else:
        values = torch.tensor([information[m].value for m in params.modalities])
    allocation = updated_allocation(before, values, floor=floor, ema=ema)
    return EStep(allocation, information, pre, post, objective, centre)


def store(model: MaseModel, found: EStep) -> None:
    """Put what an E-step found into the model."""
    model.allocation.copy_(found.allocation)
    if model.mixture_gate is not None and found.gate_centre is not None:
        model.mixture_gate.centre.copy_(found.gate_centre)
