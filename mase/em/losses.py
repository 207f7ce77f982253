"""The M-step's losses (Eqs. 8, 9) and the mixture objective of the `em` preset; Eq. 7 is in `mase.families`.

B batch, M modalities, D width, C classes. Every loss is computed in float32, or
float64 where the input is, whatever autocast says.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.errors import ParamsError

SMALLEST_NORM = 1e-12


def cross_modal_contrastive(
    features: Float[Tensor, "B M D"], tau: float, same: Bool[Tensor, "B B"] | None = None
) -> Float[Tensor, ""]:
    """Return the cross-modal contrastive loss (Eq. 8), as InfoNCE, in nats.

        L = mean over i, m, k != m of -log  exp(h_i^m . h_i^k / tau)
                                            --------------------------------
                                            sum_j exp(h_i^m . h_j^k / tau)

    Args:
        features: h_hat, one vector per example and modality; normalised to unit length here.
        tau: temperature, above 0.
        same: `same[i, j]` takes j out of the negatives of i. The diagonal is ignored.

    Returns:
        A scalar; exactly 0 with zero gradient where there is one example or one modality.

    Raises:
        ParamsError: `tau` is not positive.

    Reading of the paper:
        As printed, Eq. 8 has neither logarithm nor minus, and minimising it pushes the
        matching features apart. The sum over pairs is divided by their number, M (M - 1), so
        that alpha means the same for any set of modalities; j runs over the batch. A zero
        vector has no direction: it stays zero and gets no gradient.
    """
    if not tau > 0:
        raise ParamsError(f"contrastive.tau must be above 0, got {tau}")
    batch, modalities = features.shape[:2]
    eye = torch.eye(batch, dtype=torch.bool, device=features.device)
    excluded = torch.zeros_like(eye) if same is None else same.to(eye.device) & ~eye
    with torch.autocast(device_type=features.device.type, enabled=False):
        unit = _unit_length(precise(features))
        scores = torch.einsum("imd,jkd->mkij", unit, unit) / tau
        scores = scores.masked_fill(excluded, -torch.inf)
        losses = scores.logsumexp(-1) - scores.diagonal(dim1=-2, dim2=-1)  # (M, M, B)
        pairs = ~torch.eye(modalities, dtype=torch.bool, device=features.device)
        return losses[pairs].sum() / max(1, modalities * (modalities - 1) * batch)


def same_text_mask(keys: Sequence[tuple[str, ...]]) -> Bool[Tensor, "B B"]:
    """Mark pairs of rows that share a key, which must not be each other's negatives.

    Args:
        keys: of each row, its text, or both sentences, or a question's id. Keys are
            compared without regard to case and white space.
    """
    normalised = [{" ".join(key.casefold().split()) for key in row} for row in keys]
    columns = {key: column for column, key in enumerate(sorted(set().union(*normalised)))}
    holds = torch.zeros(len(keys), len(columns))
    for row, row_keys in enumerate(normalised):
        holds[row, [columns[key] for key in row_keys]] = 1.0
    return holds @ holds.T > 0


def total_loss(task: Tensor, contrastive: Tensor, alpha: float) -> Float[Tensor, ""]:
    """Return L_task + alpha * L_cc (Eq. 9); exactly the task loss where alpha is 0."""
    return task if alpha == 0 else task + alpha * contrastive


def log_likelihoods(
    outputs: Tensor, labels: Tensor, sigma: float | Tensor | None = None
) -> Float[Tensor, "B M"]:
    """Return log p(y_i | h_i^m) of each modality alone.

    Args:
        outputs: logits (B, M, C); with `sigma`, predictions (B, M).
        labels: class ids (B,), or scores (B,).
        sigma: standard deviation of a regression's Gaussian, above 0; None for classes.
    """
    outputs = precise(outputs)
    if sigma is None:
        index = labels.view(-1, 1, 1).expand(*outputs.shape[:2], 1)
        return outputs.log_softmax(-1).gather(-1, index).squeeze(-1)
    spread = torch.as_tensor(sigma, dtype=outputs.dtype, device=outputs.device)
    if not bool((spread > 0).all()):
        raise ParamsError(f"sigma must be above 0, got {sigma}")
    residual = (labels.to(outputs.dtype).unsqueeze(-1) - outputs) / spread
    return -0.5 * residual.square() - spread.log() - 0.5 * math.log(2 * math.pi)


def mixture_loss(
    gate_log_probabilities: Float[Tensor, "B M"],
    modality_outputs: Float[Tensor, "B M *C"],
    labels: Float[Tensor, "B"] | Int[Tensor, "B"],
    *,
    sigma: float | Tensor | None = None,
) -> Float[Tensor, ""]:
    """Return the mean of -log sum_m g_m(x) p(y | h_hat^m), in nats (Eq. 2).

    Args:
        gate_log_probabilities: log g_m(x), without labels; a row per example, or one row
            (1, M) for a gate that is the same for all.
        modality_outputs: logits (B, M, C), or predictions (B, M) with `sigma`.

    Reading of the paper:
        Eq. 4 bounds the log of a sum over one-hot z, but Eq. 7 scores the weighted sum of
        the features. This is Eq. 2 itself, with z one of M: a mixture of experts, whose
        likelihood EM cannot decrease.
    """
    joint = precise(gate_log_probabilities) + log_likelihoods(modality_outputs, labels, sigma)
    return -joint.logsumexp(-1).mean()


@torch.no_grad()
def responsibilities(
    gate_log_probabilities: Float[Tensor, "B M"],
    modality_outputs: Float[Tensor, "B M *C"],
    labels: Float[Tensor, "B"] | Int[Tensor, "B"],
    *,
    sigma: float | Tensor | None = None,
) -> Float[Tensor, "B M"]:
    """Return the posterior p(z_i = m | h_i, y_i), the true E-step of Eq. 5, without gradient.

    It sees the labels, so it is for training only; at test the gate stands alone.
    """
    joint = precise(gate_log_probabilities) + log_likelihoods(modality_outputs, labels, sigma)
    return joint.softmax(-1)


def precise(values: Tensor) -> Tensor:
    """Return the values in float32, or in float64 where they are."""
    return values if values.dtype == torch.float64 else values.float()


def _unit_length(vectors: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    present = norms > SMALLEST_NORM
    return torch.where(present, vectors / torch.where(present, norms, 1.0), 0.0)
