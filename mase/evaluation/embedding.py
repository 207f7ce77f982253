"""Figure 5: how far apart modalities and classes lie in a model's features.

A t-SNE picture shows whatever its perplexity lets it show, so beside each there are three measures:
the silhouette (cosine), the modality gap, and how well a linear classifier tells the parts apart.
`embedding_numbers` joins them over seeds.

Reading of the paper: Figure 5 has pictures only, and says that proxies alleviate the gap between
images and texts. Every proxy is a vector of a *text*, and so are the distances measured here; they
say nothing on images. `mase.evaluation.real_vectors` compares with vectors that a user gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mase.modalities import MODALITIES, Modality

TEXTS = 500  # of a unit's evaluation texts, a seeded sample, that numbers are made of
PICTURED = 200  # of these, how many a picture shows
PERPLEXITY = 30.0
FOLDS = 5

Space = Literal["concatenated", "summed", "contrastive"]


@dataclass(frozen=True)
class Features:
    """What one trained model makes of n texts.

    Attributes:
        modalities: modality -> (n, d) features, of one width unless `space` is "concatenated".
        together: (n, D) what the head reads: the concatenation, or the weighted sum of Eq. 1.
        classes: (n,) class ids of the texts, positions in `class_names`; None where a task has none.
        contrastive: modality -> (n, d) what Eq. 8 compares, where that is another space.
        space: how the modalities meet: side by side (MPB), or summed in one space (MASE).
    """

    modalities: Mapping[Modality, np.ndarray]
    together: Float[np.ndarray, "n D"]
    classes: Int[np.ndarray, "n"] | None = None
    class_names: tuple[str, ...] = ()
    contrastive: Mapping[Modality, np.ndarray] | None = None
    space: Space = "summed"

    def __len__(self) -> int:
        return len(self.together)

    def spaces(self) -> dict[Space, dict[Modality, np.ndarray]]:
        """Return every space in which the modalities can be compared, `space` first."""
        found: dict[Space, dict[Modality, np.ndarray]] = {self.space: dict(self.modalities)}
        if self.contrastive is not None:
            found["contrastive"] = dict(self.contrastive)
        return found


def unit_vectors(vectors: Float[np.ndarray, "... d"]) -> Float[np.ndarray, "... d"]:
    """Scale vectors to length 1; a zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def in_one_space(modalities: Mapping[Modality, np.ndarray]) -> Float[np.ndarray, "M n D"]:
    """Return unit vectors of all modalities, of one width, in the order of `MODALITIES`."""
    return np.stack([unit_vectors(modalities[m]) for m in MODALITIES if m in modalities])


def side_by_side(modalities: Mapping[Modality, np.ndarray]) -> Float[np.ndarray, "M n D"]:
    """Return unit vectors of each slice of a concatenation in coordinates of its own, the others 0.

    Any two modalities are then orthogonal by construction.
    """
    present: list[Modality] = [m for m in MODALITIES if m in modalities]
    widths = [modalities[m].shape[1] for m in present]
    result = np.zeros((len(present), len(modalities[present[0]]), sum(widths)))
    for i, m in enumerate(present):
        start = sum(widths[:i])
        result[i, :, start : start + widths[i]] = unit_vectors(modalities[m])
    return result


def comparable(features: Features, space: Space) -> Float[np.ndarray, "M n D"]:
    """Return unit vectors of the modalities in one of the spaces of `features`."""
    found = features.spaces()[space]
    return side_by_side(found) if space == "concatenated" else in_one_space(found)


def gap(points: Float[np.ndarray, "M n D"], first: int, second: int) -> float:
    """Return the modality gap: the distance of the mean unit vectors (Liang et al. 2022), 0 to 2."""
    return float(np.linalg.norm(points[first].mean(axis=0) - points[second].mean(axis=0)))


def exchanged_gap(points: Float[np.ndarray, "M n D"], first: int, second: int) -> float:
    """Return the gap that is left if each text's two vectors are exchanged at random.

    The root mean square over all exchanges, sqrt(sum |a_i - b_i|^2) / n: what the gap of n texts is
    where there is none.
    """
    differences = points[first] - points[second]
    return float(np.sqrt((differences**2).sum()) / len(differences))


def silhouettes(points: Float[np.ndarray, "M n D"]) -> Float[np.ndarray, "n"]:
    """Return each text's silhouette by modality (cosine), the mean over its modalities; -1 to 1."""
    count, texts, width = points.shape
    labels = np.repeat(np.arange(count), texts)
    found = np.asarray(silhouette_samples(points.reshape(-1, width), labels, metric="cosine"))
    return found.reshape(count, texts).mean(axis=0)


def told_apart(points: Float[np.ndarray, "M n D"]) -> Float[np.ndarray, "n"]:
    """Return, per text, the share of its vectors whose modality a logistic regression names.

    Out of fold, over five folds of texts; a text's vectors are all in one fold.
    """
    count, texts, width = points.shape
    labels = np.repeat(np.arange(count), texts)
    folds = GroupKFold(min(FOLDS, texts), shuffle=True, random_state=0)
    split = list(folds.split(labels, groups=np.tile(np.arange(texts), count)))
    right = _cross_validated(points.reshape(-1, width), labels, split)
    return right.reshape(count, texts).mean(axis=0)


def _cross_validated(
    points: np.ndarray, labels: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return whether each point's label is predicted by a model fitted without its fold."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    predicted = np.asarray(cross_val_predict(model, points, labels, cv=folds))
    return (predicted == labels).astype(np.float64)


def class_silhouettes(
    together: Float[np.ndarray, "n D"], classes: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return each text's silhouette by class (cosine); 0 in a class of one."""
    return np.asarray(silhouette_samples(unit_vectors(together), classes, metric="cosine"))


def classes_told_apart(
    together: Float[np.ndarray, "n D"], classes: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return whether a logistic regression names each text's class, out of fold."""
    rarest = int(np.unique(classes, return_counts=True)[1].min())
    folds = StratifiedKFold(min(FOLDS, rarest), shuffle=True, random_state=0)
    return _cross_validated(unit_vectors(together), classes, list(folds.split(together, classes)))


def has_classes(features: Features) -> bool:
    """Tell whether there are at least two classes with at least two texts each."""
    if features.classes is None:
        return False
    counts = np.unique(features.classes, return_counts=True)[1]
    return len(counts) > 1 and int(counts.min()) > 1


def tsne(points: Float[np.ndarray, "k D"], seed: int = 0) -> Float[np.ndarray, "k 2"]:
    """Return a picture of unit vectors: t-SNE (van der Maaten and Hinton 2008), cosine distances.

    Perplexity 30, or a quarter of the points if they are fewer than 120; started from the first two
    principal components, so a picture follows from the points and `seed`.
    """
    perplexity = min(PERPLEXITY, max(2.0, len(points) / 4))
    method = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    # Squared Euclidean distances of unit vectors are twice their cosine distances.
    return np.asarray(method.fit_transform(unit_vectors(points).astype(np.float32)), dtype=np.float64)
