"""The two losses of a tower's training: positives against the batch, and CLIP's own vectors."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def symmetric_contrastive(
    first: Float[Tensor, "batch width"],
    second: Float[Tensor, "batch width"],
    temperature: float,
    same: Bool[Tensor, "batch batch"] | None = None,
) -> Float[Tensor, ""]:
    """Return InfoNCE over a batch of positive pairs, mean of both directions (Radford et al. 2021).

    Args:
        first, second: row i of one and row i of the other are a positive pair.
        temperature: divides the cosines.
        same: pairs (i, j) that are no negatives of each other, the diagonal ignored.
    """
    logits = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T / temperature  # (B, B)
    if same is not None:
        off_diagonal = ~torch.eye(len(logits), dtype=torch.bool)
        logits = logits.masked_fill(same & off_diagonal, float("-inf"))
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def distillation(
    predicted: Float[Tensor, "batch target"], wanted: Float[Tensor, "batch target"]
) -> Float[Tensor, ""]:
    """Return one minus the mean cosine of the mapped vectors to the wanted, centred ones."""
    return 1 - F.cosine_similarity(predicted, wanted, dim=-1).mean()


def relational_distillation(
    vectors: Float[Tensor, "batch width"], wanted: Float[Tensor, "batch target"]
) -> Float[Tensor, ""]:
    """Return the mean squared difference of the pairwise cosines, both sides centred on the batch.

    Park et al. 2019, "Relational Knowledge Distillation": what is near in the one space is
    to be near in the other, without a map between them.
    """
    own, theirs = (F.normalize(part - part.mean(dim=0), dim=-1) for part in (vectors, wanted))
    return (own @ own.T - theirs @ theirs.T).square().mean()
