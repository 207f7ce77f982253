"""Retrieval, similarity and agreement of sets of vectors."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

RANKS = (1, 5, 10)
PENALTIES = tuple(10.0**power for power in range(-4, 3))


def unit(vectors: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows width"]:
    """Return the vectors at unit length; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors, dtype=np.float64), where=norms > 0)


def ranks(similarities: Float[np.ndarray, "queries queries"]) -> Int[np.ndarray, " queries"]:
    """Return the rank of each query's own target (the diagonal), from 1; a tie counts against it."""
    return (similarities >= np.diag(similarities)[:, None]).sum(axis=1)


def recall(similarities: Float[np.ndarray, "queries queries"]) -> dict[int, float]:
    """Return the share of queries whose own target is among the k most similar, by k of RANKS."""
    found = ranks(similarities)
    return {k: float((found <= k).mean()) for k in RANKS}


def mean_cosine(first: Float[np.ndarray, "rows width"], second: Float[np.ndarray, "rows width"]) -> float:
    """Return the mean cosine of row i of one to row i of the other."""
    return float((unit(first) * unit(second)).sum(axis=1).mean())


def pairwise_spearman(
    first: Float[np.ndarray, "rows first_width"], second: Float[np.ndarray, "rows second_width"]
) -> float:
    """Return the rank correlation of the two sets' cosines over all pairs of rows.

    It is 0 if one set's cosines are all equal, as those of a constant vector are.
    """
    above = np.triu_indices(len(first), k=1)
    cosines = [(unit(part) @ unit(part).T)[above] for part in (first, second)]
    if any(np.ptp(values) < 1e-12 for values in cosines):
        return 0.0
    return float(np.corrcoef(*map(rankdata, cosines))[0, 1])


def linear_cka(
    first: Float[np.ndarray, "rows first_width"], second: Float[np.ndarray, "rows second_width"]
) -> float:
    """Return linear CKA, ||Y'X||^2 / (||X'X|| ||Y'Y||), columns centred (Kornblith et al. 2019, Eq. 5).

    1 for equal spaces up to rotation and scale, 0 for unrelated ones or where one is constant.
    """
    x, y = (part.astype(np.float64) - part.mean(axis=0) for part in (first, second))
    norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / norms) if norms > 0 else 0.0


class Ridge:
    """Linear map with an intercept, its penalty chosen by leave-one-out error.

    Args:
        features: of the training rows.
        targets: of the training rows.

    The penalties are PENALTIES times the mean squared norm of a centred feature row. With
    the eigenvalues l and eigenvectors U of the centred kernel the hat matrix is
    U diag(l / (l + penalty)) U' + 1/n, and leaving row i out divides its residual by
    1 - hat_ii.
    """

    def __init__(
        self, features: Float[np.ndarray, "rows width"], targets: Float[np.ndarray, "rows target"]
    ) -> None:
        self._mean, self._offset = features.mean(axis=0), targets.mean(axis=0)
        self._features = features - self._mean
        centred = targets - self._offset
        kernel = self._features @ self._features.T
        values, vectors = np.linalg.eigh(kernel)
        values = np.maximum(values, 0)
        projected = vectors.T @ centred
        scale = max(float(np.trace(kernel)) / len(kernel), 1e-12)
        errors: dict[float, float] = {}
        for penalty in (scale * factor for factor in PENALTIES):
            shrunk = values / (values + penalty)
            hat = (vectors**2) @ shrunk + 1 / len(features)
            residuals = centred - vectors @ (shrunk[:, None] * projected)
            errors[penalty] = float(np.square(residuals / np.maximum(1 - hat, 1e-9)[:, None]).sum())
        self.penalty = min(errors, key=lambda penalty: errors[penalty])
        self._dual = vectors @ (projected / (values + self.penalty)[:, None])

    def predict(self, features: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows target"]:
        """Return the mapped rows."""
        return ((features - self._mean) @ self._features.T) @ self._dual + self._offset
