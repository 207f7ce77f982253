"""How well vectors of object names agree with the vectors that the real CLIP gives those names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from mase.proxies.checking.metrics import Ridge, mean_cosine, pairwise_spearman, recall, unit

PROMPT = "a {}"  # CLIP's vectors were made with it


@dataclass(frozen=True)
class Agreement:
    """Agreement on some names.

    Attributes:
        cosine: mean cosine of the mapped vectors to CLIP's, both without the training mean.
        spearman: rank correlation of the pairwise cosines, without a map.
        recall: share of names whose own CLIP vector is among the ten nearest, of all `names`.
        names: how many.
    """

    cosine: float
    spearman: float
    recall: float
    names: int


def agreement(features: np.ndarray, vectors: np.ndarray, train: np.ndarray, test: np.ndarray) -> Agreement:
    """Return the agreement on the test names.

    A ridge regression from features to CLIP's vectors is fitted on the training names, so
    that encoders of any width, and any coordinates, are measured alike.

    Args:
        features: (names, width) of an encoder.
        vectors: (names, 512) of CLIP.
        train, test: (names,) bool, disjoint.
    """
    mean = vectors[train].mean(axis=0)
    mapped = Ridge(features[train], vectors[train]).predict(features[test]) - mean
    actual = vectors[test] - mean
    moved = features[test] - features[train].mean(axis=0)
    return Agreement(
        mean_cosine(mapped, actual),
        pairwise_spearman(moved, actual),
        recall(unit(mapped) @ unit(actual).T)[10],
        int(test.sum()),
    )


def encoded(encode: Callable[[Sequence[str]], np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return unit vectors of names in CLIP's prompt."""
    return unit(encode([PROMPT.format(name) for name in names]))


def character_ngrams(names: Sequence[str], train: np.ndarray) -> np.ndarray:
    """Return TF-IDF of character 2- to 5-grams inside words, fitted on the training names."""
    known = [name for name, use in zip(names, train, strict=True) if use]
    vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(known)
    return vectoriser.transform(names).toarray()


def constant_cosine(vectors: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Return the mean cosine, not centred, of the training mean to CLIP's vectors of the test names.

    It shows how little a cosine says before the mean is subtracted.
    """
    mean = np.broadcast_to(vectors[train].mean(axis=0), vectors[test].shape)
    return mean_cosine(mean, vectors[test])
