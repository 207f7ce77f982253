"""Linear probes, the alternative to the shared head in the E-step (`allocation.head: probe`)."""

import torch
from jaxtyping import Float
from torch import Tensor

from mase.families import family_of
from mase.params import Params


def probe_logits(
    params: Params, features: Float[Tensor, "N M D"], labels: Tensor, queries: Float[Tensor, "Q M D"]
) -> Float[Tensor, "Q M C"]:
    """Return answers of a linear probe per modality, fitted on some rows and asked on others.

    On standardised features; which probe is the family's to say. The model is not touched.
    """
    family = family_of(params.task)
    scale = features.std(0) + 1e-6
    centre = features.mean(0)
    fitted, asked = ((features - centre) / scale).numpy(), ((queries - centre) / scale).numpy()
    columns = [
        torch.from_numpy(family.probe(params.task, fitted[:, i], labels.numpy(), asked[:, i])).float()
        for i in range(features.shape[1])
    ]
    return torch.stack(columns, dim=1)
