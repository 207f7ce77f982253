"""Retrieval of one caption by another of the same picture or clip, among all held-out ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from mase.proxies.checking.metrics import RANKS, recall, unit

ROUNDS = 5  # captions of each picture or clip that take part
Similarities = Callable[[Sequence[str], Sequence[str]], np.ndarray]
Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Retrieval:
    """Recall at k of one encoder, the mean over rounds, and how much R@1 differs between rounds."""

    recall: dict[int, float]
    deviation: float


def measure(groups: Sequence[Sequence[str]], similarities: Similarities) -> Retrieval:
    """Return the recall among held-out groups of captions.

    In round k caption k of each group looks for caption k + 1 (the last for the first): one
    query and one target per group, every group a candidate.

    Args:
        groups: captions of each picture or clip, at least two each.
        similarities: (queries, targets) similarities of two lists of texts.
    """
    rounds = min(ROUNDS, *(len(group) for group in groups))
    results = []
    for first in range(rounds):
        second = (first + 1) % rounds
        found = similarities([group[first] for group in groups], [group[second] for group in groups])
        results.append(recall(found))
    mean = {k: float(np.mean([result[k] for result in results])) for k in RANKS}
    return Retrieval(mean, float(np.std([result[1] for result in results])))


def cosines(encode: Encode) -> Similarities:
    """Return the similarities of an encoder: the cosines of its vectors."""

    def similarities(queries: Sequence[str], targets: Sequence[str]) -> np.ndarray:
        return unit(encode(queries)) @ unit(encode(targets)).T

    return similarities


def tf_idf(texts: Sequence[str]) -> Similarities:
    """Return the similarities of scikit-learn's TF-IDF with its defaults, fitted on `texts`."""
    vectoriser = TfidfVectorizer().fit(texts)

    def similarities(queries: Sequence[str], targets: Sequence[str]) -> np.ndarray:
        return (vectoriser.transform(queries) @ vectoriser.transform(targets).T).toarray()

    return similarities


def held_out_groups(
    groups: Mapping[str, Sequence[str]], held_out: Sequence[str]
) -> tuple[list[Sequence[str]], list[str]]:
    """Return the held-out groups with two captions or more, and every text that TF-IDF is fitted on."""
    chosen = [groups[key] for key in held_out if len(groups[key]) >= 2]
    return chosen, [text for group in groups.values() for text in group]
