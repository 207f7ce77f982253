"""The E-step: information of each modality about the labels, and the new allocation.

One pass without gradients over a held-out slice of the training set (never dev, never
test). Labels are used here and in the losses only; a forward pass has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from mase.em.allocation import updated_allocation
from mase.em.information import Information, classification_information, regression_information
from mase.em.losses import responsibilities
from mase.modalities import Modality
from mase.model.batch import Batch
from mase.model.inference import device_of, evaluation_batches
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
        logits: (N, C) fused prediction, in evaluation mode.
        pre, post: (N, M, C) the shared head on each modality alone, before and after the graph.
        features: (N, M, D) the features that `allocation.features` names.
        gate: (N, M) log g_m(x), mixture objective only.
    """

    logits: Float[Tensor, "N C"]
    pre: Float[Tensor, "N M C"]
    post: Float[Tensor, "N M C"]
    features: Float[Tensor, "N M D"]
    gate: Float[Tensor, "N M"] | None


@torch.no_grad()
def answers(model: MaseModel, rows: Labelled, batch_size: int) -> SliceOutput:
    """Run the model over a slice, each modality alone and all together."""
    model.eval()
    which = model.params.allocation.features
    parts: dict[str, list[Tensor]] = {k: [] for k in ("logits", "pre", "post", "features", "gate")}
    batches = evaluation_batches(rows.lengths, batch_size)
    for indices in batches:
        output = model(rows.batch(indices).to(device_of(model)))
        parts["logits"].append(output.logits)
        parts["pre"].append(model.modality_logits(output.pre))
        parts["post"].append(model.modality_logits(output.post))
        parts["features"].append(output.pre if which == "pre" else output.post)
        if output.gate is not None:
            parts["gate"].append(output.gate)
    back = torch.from_numpy(np.argsort(np.concatenate(batches)))
    joined = {k: torch.cat(v).float().cpu()[back] for k, v in parts.items() if v}
    return SliceOutput(
        joined["logits"], joined["pre"], joined["post"], joined["features"], joined.get("gate")
    )


def _information(
    family: str, logits: Tensor, labels: Tensor, calibrate: bool, prior: Tensor | None
) -> Information:
    if family == "regression":
        return regression_information(logits.squeeze(-1), labels, calibrate=calibrate)
    return classification_information(logits, labels, calibrate=calibrate, prior=prior)


def estimate(
    params: Params, logits: Float[Tensor, "N M C"], labels: Tensor, prior: Tensor | None
) -> dict[Modality, Information]:
    """Return I(h^m; y) = H(y) - H(y | h^m) in nats for every modality (Eq. 10).

    Reading of the paper: p(y | h^m) is the task's shared head on h^m alone, since Eq. 1
    with a one-hot z is h^m; the Monte-Carlo estimate is the mean over the slice. With
    `calibrate` each modality first gets its own temperature and bias, cross-fitted on
    halves of the slice, and H(y) is the best constant prediction's loss.
    """
    calibrate = params.allocation.calibrate
    return {
        m: _information(params.task.family, logits[:, i], labels, calibrate, prior)
        for i, m in enumerate(params.modalities)
    }


def probe_logits(
    params: Params, features: Float[Tensor, "N M D"], labels: Tensor, queries: Float[Tensor, "Q M D"]
) -> Float[Tensor, "Q M C"]:
    """Return answers of a linear probe per modality, fitted on some rows and asked on others.

    The alternative to the shared head (`allocation.head: probe`): logistic regression on
    standardised features, or ridge regression; the model is not touched.
    """
    columns = []
    scale = features.std(0) + 1e-6
    centre = features.mean(0)
    fitted, asked = ((features - centre) / scale).numpy(), ((queries - centre) / scale).numpy()
    for i in range(features.shape[1]):
        if params.task.family == "regression":
            answer = Ridge(alpha=10.0).fit(fitted[:, i], labels.numpy()).predict(asked[:, i])[:, None]
        else:
            answer = _log_probabilities(fitted[:, i], labels.numpy(), asked[:, i], len(params.task.labels))
        columns.append(torch.from_numpy(answer).float())
    return torch.stack(columns, dim=1)


def _log_probabilities(
    features: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int
) -> np.ndarray:
    probe = LogisticRegression(C=0.1, max_iter=200).fit(features, labels)
    result = np.full((len(asked), classes), -20.0)
    result[:, probe.classes_] = probe.predict_log_proba(asked)
    return result


@dataclass(frozen=True)
class EStep:
    """What one E-step found: weights (M,), information by modality, before and after the graph."""

    allocation: Tensor
    information: dict[Modality, Information]
    pre: dict[Modality, Information]
    post: dict[Modality, Information]
    objective: float


def log_likelihood(params: Params, logits: Tensor, labels: Tensor, deviation: float) -> float:
    """Return the mean log p(y | x) of the slice in nats; Gaussian of the labels' deviation for scores."""
    if params.task.family == "regression":
        return float(-0.5 * ((logits.squeeze(-1) - labels) / deviation).square().mean())
    return float(-torch.nn.functional.cross_entropy(logits, labels))


def _mixture_weights(params: Params, output: SliceOutput, labels: Tensor, model: MaseModel) -> Tensor:
    """Return the mean responsibility of each modality, the EM update of the mixing weights (Eq. 5)."""
    assert output.gate is not None
    if params.task.family == "classification":
        return responsibilities(output.gate, output.post, labels).mean(0)
    mean, deviation = model.head.mean.cpu(), model.head.deviation.cpu()
    assert model.log_sigma is not None
    scores, targets = (output.post.squeeze(-1) - mean) / deviation, (labels - mean) / deviation
    return responsibilities(output.gate, scores, targets, sigma=model.log_sigma.detach().exp().cpu()).mean(0)


def e_step(model: MaseModel, estimation: Labelled, training: Labelled, prior: Tensor | None) -> EStep:
    """Estimate the allocation with Theta fixed (Eqs. 5, 10, 11).

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
        logits = probe_logits(params, seen.features, training.labels, output.features)
        information = estimate(params, logits, estimation.labels, prior)
    objective = log_likelihood(params, output.logits, estimation.labels, float(model.head.deviation))
    if params.m_objective == "mixture":
        allocation = _mixture_weights(params, output, estimation.labels, model)
    else:
        allocation = _allocation(model, information, params.modalities)
    return EStep(allocation, information, pre, post, objective)


def _allocation(
    model: MaseModel, information: dict[Modality, Information], modalities: Sequence[Modality]
) -> Tensor:
    allocation = model.params.allocation
    values = torch.tensor([information[m].value for m in modalities])
    return updated_allocation(model.allocation.cpu(), values, floor=allocation.floor, ema=allocation.ema)
