"""Linear probes, the alternative to the shared head in the E-step (`allocation.head: probe`)."""

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from mase.params import Params


def probe_logits(
    params: Params, features: Float[Tensor, "N M D"], labels: Tensor, queries: Float[Tensor, "Q M D"]
) -> Float[Tensor, "Q M C"]:
    """Return answers of a linear probe per modality, fitted on some rows and asked on others.

    Logistic regression on standardised features, or ridge regression; the model is not touched.
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
