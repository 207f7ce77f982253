"""The regions of an image, and a question's attention over them (Up-Down, Anderson et al. 2018).

A region has a detector's feature, which is frozen, and the corners of its box; what reads them trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mase.data.regions import RegionStore
from mase.model.batch import Part

REGIONS = "regions"
CORNERS = 4  # x1, y1, x2, y2 as shares of the image


@dataclass(frozen=True)
class RegionBatch(Part):
    """The regions of a batch's images, K of the image with most; `mask` is False where there is none."""

    features: Float[Tensor, "B K R"]
    boxes: Float[Tensor, "B K 4"]
    mask: Bool[Tensor, "B K"]


class RegionInput:
    """The regions of a split's images, read from the user's files batch by batch."""

    def __init__(self, store: RegionStore, images: Sequence[str]):
        self.store, self.images = store, tuple(images)

    def batch(self, indices: np.ndarray, width: int) -> RegionBatch:
        """Return the regions of the images of rows `indices`."""
        found = [self.store.regions(self.images[index]) for index in indices.tolist()]
        counts = np.array([len(regions.features) for regions in found])
        mask = np.arange(counts.max()) < counts[:, None]  # (B, K)
        features = np.zeros((*mask.shape, found[0].features.shape[1]), np.float32)
        boxes = np.zeros((*mask.shape, CORNERS), np.float32)
        features[mask] = np.concatenate([regions.features for regions in found])
        boxes[mask] = np.concatenate([regions.boxes for regions in found])
        return RegionBatch(torch.from_numpy(features), torch.from_numpy(boxes), torch.from_numpy(mask))


class GatedTanh(nn.Module):
    """tanh(W x + b) * sigmoid(W' x + b'), the non-linear layer of Up-Down."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.value, self.gate = nn.Linear(inputs, width), nn.Linear(inputs, width)

    def forward(self, inputs: Float[Tensor, "*B I"]) -> Float[Tensor, "*B H"]:
        """Return the layer's output."""
        return torch.tanh(self.value(inputs)) * torch.sigmoid(self.gate(inputs))


class RegionAttention(nn.Module):
    """Top-down attention of a question over regions, and the product of both.

        a_i = w . f_a([v_i ; q]),   v = sum_i softmax(a)_i v_i,   joint = f_q(q) * f_v(v)

    with f gated tanh layers and v_i a region's feature (layer-normalised, since detectors differ in
    scale) and the corners of its box.

    Args:
        question: width of q.
        regions: width of a region's feature.
        width: H, of the joint vector.
    """

    def __init__(self, question: int, regions: int, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(regions)
        self.attend = GatedTanh(regions + CORNERS + question, width)
        self.score = nn.Linear(width, 1)
        self.question = GatedTanh(question, width)
        self.image = GatedTanh(regions + CORNERS, width)

    def forward(self, question: Float[Tensor, "B D"], regions: RegionBatch) -> Float[Tensor, "B H"]:
        """Return the joint vector; the order of the regions does not count."""
        seen = torch.cat([self.norm(regions.features), regions.boxes], dim=-1)  # (B, K, R + 4)
        asked = question.unsqueeze(1).expand(-1, seen.shape[1], -1)
        scores = self.score(self.attend(torch.cat([seen, asked], dim=-1))).squeeze(-1)  # (B, K)
        weights = scores.masked_fill(~regions.mask, -torch.inf).softmax(-1)
        attended = torch.einsum("bk,bkr->br", weights, seen)
        return self.question(question) * self.image(attended)
