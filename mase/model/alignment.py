"""How alike a tower finds the two sentences of a pair, as wholes and entity by entity."""

import numpy as np
from jaxtyping import Float

from mase.data import Rows
from mase.model.features import unit
from mase.proxies import ProxyTable
from mase.scenegraph import GraphTable

COLUMNS = 6
MATCHED = 0.5  # cosine from which an entity counts as found in the other sentence


def alignment_features(
    sentences: ProxyTable, phrases: ProxyTable, prompt: str, graphs: GraphTable, rows: Rows
) -> Float[np.ndarray, "n 6"]:
    """Return what a tower says about how a pair's sentences align; no label is read.

    The cosine of the sentences; the mean over the first's (second's) nodes of the best cosine with a node
    of the other; the worst of these best; the share of nodes of the first (second) without a match. Where
    a sentence has no node the cosine of the sentences stands for all, and nothing is unmatched.
    """
    assert rows.texts_b is not None
    vectors = sentences.vectors()
    first, second = (unit(vectors[sentences.rows(t)]) for t in (rows.texts_a, rows.texts_b))
    whole = (first * second).sum(1)
    nodes = unit(phrases.vectors()[phrases.rows([prompt.format(p) for p in graphs.phrases])])
    found = np.zeros((len(whole), COLUMNS), np.float32)
    for row, (a, b) in enumerate(zip(graphs.rows(rows.texts_a), graphs.rows(rows.texts_b), strict=True)):
        left, right = (
            nodes[graphs.node_phrase[graphs.node_pointer[t] : graphs.node_pointer[t + 1]]] for t in (a, b)
        )
        found[row] = _row(whole[row], left, right)
    return found


def _row(whole: float, left: np.ndarray, right: np.ndarray) -> tuple[float, ...]:
    if not len(left) or not len(right):
        return (whole, whole, whole, whole, 0.0, 0.0)
    cosines = left @ right.T
    of_left, of_right = cosines.max(1), cosines.max(0)
    worst = min(of_left.min(), of_right.min())
    return (
        whole,
        of_left.mean(),
        of_right.mean(),
        worst,
        (of_left < MATCHED).mean(),
        (of_right < MATCHED).mean(),
    )
