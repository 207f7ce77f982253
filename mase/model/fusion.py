"""How the modalities meet: projections to one width, the weighted sum of Eq. 1, the mixture's gate."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mase.modalities import Modality
from mase.params import FusionParams

STRIDE = (
    10.0  # gates are stored at a tenth of their size: one Adam step moves them ten times as far as a weight
)


class ModalityProjection(nn.Module):
    """Bring h^m of every modality to the fusion width D.

    Reading of the paper: Eq. 1 sums and Eq. 8 dots vectors of different widths, so each
    modality has one trainable Linear + LayerNorm. With `text_entry: identity` the text
    enters as it is (D is then the backbone's width).
    """

    def __init__(
        self, params: FusionParams, modalities: Sequence[Modality], widths: Mapping[Modality, int], width: int
    ):
        super().__init__()
        self.modalities = tuple(modalities)
        self.project = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(widths[m], width), nn.LayerNorm(width))
                for m in modalities
                if not (m == "text" and params.text_entry == "identity")
            }
        )

    def forward(
        self, text: Float[Tensor, "B W"], proxies: Mapping[Modality, Float[Tensor, "B d"]]
    ) -> Float[Tensor, "B M D"]:
        """Return h^m, stacked in the order of the modalities."""
        columns = []
        for m in self.modalities:
            features = text.float() if m == "text" else proxies[m]
            columns.append(self._project(m, features) if m in self.project else features)
        return torch.stack(columns, dim=1)

    def _project(self, modality: Modality, features: Float[Tensor, "B d"]) -> Float[Tensor, "B D"]:
        dtype = next(self.project[modality].parameters()).dtype  # proxies are stored in float32
        return self.project[modality](features.to(dtype))


class GraphResidual(nn.Module):
    """h_hat^m = LN(h^m + gamma_m * readout^m); a sentence with no entity keeps h^m.

    Text that enters by identity takes no LayerNorm either, so that the text-only model is
    nested exactly. gamma starts at 0 where proxies enter through zero gates, at 1 else.
    """

    def __init__(self, params: FusionParams, modalities: Sequence[Modality], width: int):
        super().__init__()
        self.modalities = tuple(modalities)
        start = 0.0 if params.proxy_gate == "zero" else 1.0
        self.gamma = nn.Parameter(torch.full((len(modalities),), start / STRIDE))
        self.norm = nn.ModuleDict(
            {
                m: nn.LayerNorm(width)
                for m in modalities
                if not (m == "text" and params.text_entry == "identity")
            }
        )

    def forward(
        self, features: Float[Tensor, "B M D"], readout: Float[Tensor, "B M D"], occupied: Bool[Tensor, "B"]
    ) -> Float[Tensor, "B M D"]:
        """Return h_hat^m."""
        raised = features + STRIDE * self.gamma[None, :, None] * readout
        columns = [
            self.norm[m](raised[:, i]) if m in self.norm else raised[:, i]
            for i, m in enumerate(self.modalities)
        ]
        return torch.where(occupied[:, None, None], torch.stack(columns, dim=1), features)


class WeightedSum(nn.Module):
    """Eq. 1: h* = sum_m z_m h^m.

    Reading of the paper, beyond it: with `proxy_gate: zero` each proxy modality is scaled
    by a gate that starts at 0, so training starts at the text-only model; with
    `rescale: max` the sum is divided by the largest weight, a constant within an EM
    iteration, so that the scale of h* does not depend on how many modalities there are.
    """

    gate: Tensor
    gated: Tensor

    def __init__(self, params: FusionParams, modalities: Sequence[Modality]):
        super().__init__()
        self.rescale = params.rescale
        gated = [m != "text" and params.proxy_gate == "zero" for m in modalities]
        self.register_buffer("gated", torch.tensor(gated), persistent=False)
        if any(gated):
            self.gate = nn.Parameter(torch.zeros(len(gated)))
        else:
            self.register_buffer("gate", torch.ones(len(modalities)), persistent=False)

    def gates(self) -> Float[Tensor, "M"]:
        """Return the gates; text's is 1 and does not learn."""
        return torch.where(self.gated, STRIDE * self.gate, torch.ones_like(self.gate))

    def forward(
        self, features: Float[Tensor, "B M D"], allocation: Float[Tensor, "M"]
    ) -> Float[Tensor, "B D"]:
        """Return h*."""
        weights = allocation / allocation.max() if self.rescale == "max" else allocation
        if features.shape[1] == 1:
            return features[:, 0] * (weights * self.gates())
        return torch.einsum("bmd,m->bd", features, weights * self.gates())

    def alone(self, features: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        """Return each modality as Eq. 1 gives it for a one-hot z, at full size.

        A gate's size is no information, its sign is.
        """
        return features * torch.sign(self.gates())[None, :, None]


class MixtureGate(nn.Module):
    """log g(x) of the mixture: g(x) = softmax(log z + a(x)), a(x) = W h_hat(x) - centre; no label.

    Reading of the paper, beyond it: a moves the prior z per text and starts at 0. A constant
    in a could do all that z does, and z would then say nothing about a modality. So an
    E-step puts the centre where z is the mean of g (`mase.em.estep`).
    """

    centre: Tensor

    def __init__(self, modalities: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(modalities, modalities * width))
        self.register_buffer("centre", torch.zeros(modalities))

    def forward(
        self, features: Float[Tensor, "B M D"], allocation: Float[Tensor, "M"]
    ) -> Float[Tensor, "B M"]:
        """Return log g."""
        moves = nn.functional.linear(features.flatten(1), self.weight) - self.centre
        return (finite_log(allocation) + moves).log_softmax(-1)


def finite_log(weights: Float[Tensor, "M"]) -> Float[Tensor, "M"]:
    """Return the logarithm, very small but finite where a weight is 0."""
    return weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
