"""Set match, and precision, recall and F1 of exact facts."""

from collections.abc import Sequence
from dataclasses import dataclass

from mase.evaluation.scenegraph.factual import Facts


@dataclass(frozen=True)
class TripleScores:
    """Scores from 0 to 100 over a set of captions.

    Attributes:
        set_match: share of captions whose facts are exactly the gold ones (Li et al. 2023).
        precision, recall, f1: over all facts of all captions together (micro). The headline.
        macro_precision, macro_recall, macro_f1: means of the captions' own scores.
    """

    set_match: float
    precision: float
    recall: float
    f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


def f1_of(precision: float, recall: float) -> float:
    """Return the harmonic mean of two shares, 0 if both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def score_triples(found: Sequence[Facts], gold: Sequence[Facts]) -> TripleScores:
    """Compare each caption's facts with the gold facts; strings must be equal, duplicates count once.

    A bare entity is a fact like any other. Nothing found and nothing to find is a full
    score for that caption; nothing found alone has precision 0.

    Raises:
        ValueError: if the lengths differ or there is no caption.
    """
    if not gold or len(found) != len(gold):
        raise ValueError(f"{len(found)} graphs for {len(gold)} gold graphs; at least one of each is needed")
    pairs = list(zip(found, gold, strict=True))
    hits = sum(len(f & g) for f, g in pairs)
    precision = _share(hits, sum(map(len, found)), sum(map(len, gold)))
    recall = _share(hits, sum(map(len, gold)), sum(map(len, found)))
    precisions = [_share(len(f & g), len(f), len(g)) for f, g in pairs]
    recalls = [_share(len(f & g), len(g), len(f)) for f, g in pairs]
    values = (
        sum(f == g for f, g in pairs) / len(pairs),
        precision,
        recall,
        f1_of(precision, recall),
        sum(precisions) / len(pairs),
        sum(recalls) / len(pairs),
        sum(map(f1_of, precisions, recalls)) / len(pairs),
    )
    return TripleScores(*(100 * value for value in values))


def _share(hits: int, total: int, other: int) -> float:
    """Return hits / total; with nothing in either set, 1."""
    if total == 0:
        return 1.0 if other == 0 else 0.0
    return hits / total
