"""Closed-set probes (MemoryColor, ColorTerm, ObjectShape, ViComTe): rank the labels, template by template.

A probe asks each item in T templates; the model scores each of the L labels. The paper's Table 4 is read as
**the mean over templates of the accuracy per template**: the published 25.1 of BERT-base on MemoryColor is
25.19 under this reading and 39.45 for the best template. Numbers that are higher by choosing with the labels
are reported under their own names and never mixed in:

- `best`: the accuracy of the best single template.
- `any`: an item counts if any template is right, the "best template" mode of VL-commonsense.
- `ensemble`: the accuracy of the scores averaged over templates, its "average template" mode and Z-LaVI's.
  This one does not look at the labels.

Pooling all (template, item) pairs, as VaLM does, equals the mean here, since every template asks every item.
Every table also shows `majority` and `chance`: on ObjectShape the majority class has 73.6%.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import stats

from mase.evaluation.metrics.means import resampled_mean
from mase.evaluation.metrics.metric import safe_ratio


@dataclass(frozen=True)
class ClosedSetScores:
    """What the templates of one probe give, all in [0, 1].

    Attributes:
        correct: for each template and item whether the highest label is the gold one.
        ensemble_correct: the same for the scores averaged over templates.
        majority: the share of the most frequent gold label.
        chance: 1 / L.
    """

    correct: Bool[np.ndarray, "templates items"]
    ensemble_correct: Bool[np.ndarray, "items"]
    majority: float
    chance: float

    def per_template(self) -> Float[np.ndarray, "templates"]:
        """Return the accuracy of each template."""
        return self.correct.mean(axis=1)

    def per_example(self) -> Float[np.ndarray, "items"]:
        """Return for each item the share of templates that are right; their mean is `mean`."""
        return self.correct.mean(axis=0)

    def values(self) -> dict[str, float]:
        """Return `mean`, `sd` over templates (n - 1; 0 for one template), `best`, `any`, `ensemble`,
        `majority` and `chance`."""
        accuracy = self.per_template()
        return {
            "mean": float(accuracy.mean()),
            "sd": float(accuracy.std(ddof=1)) if accuracy.size > 1 else 0.0,
            "best": float(accuracy.max()),
            "any": float(self.correct.any(axis=0).mean()),
            "ensemble": float(self.ensemble_correct.mean()),
            "majority": self.majority,
            "chance": self.chance,
        }

    def resampled(self, counts: UInt8[np.ndarray, "R items"]) -> Float[np.ndarray, "R"]:
        """Return `mean` on each resample of the items; templates are not resampled."""
        return resampled_mean(self.per_example()[None], counts)[:, 0]


def closed_set_scores(
    scores: Float[np.ndarray, "templates items labels"], gold: Int[np.ndarray, "items"]
) -> ClosedSetScores:
    """Rank the labels of a probe.

    Args:
        scores: a score for each label, higher is better. Log-probabilities, so that `ensemble` is the
            geometric mean; of equal scores the first label wins.
        gold: the gold label's place for each item. Synonymous spellings ("grey", "gray") are one label
            by then. For ViComTe it is `obj`; `alt` is a label from the tail of the distribution.

    Raises:
        ValueError: if the shapes do not fit, a gold label does not exist, or a score is NaN.
    """
    if scores.ndim != 3 or gold.shape != scores.shape[1:2] or not scores.size:
        raise ValueError(
            f"need scores (templates, items, labels) and gold (items), got {scores.shape}, {gold.shape}"
        )
    labels = scores.shape[2]
    if gold.min() < 0 or gold.max() >= labels:
        raise ValueError(f"gold labels must be 0..{labels - 1}, got {gold.min()}..{gold.max()}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN; the labels cannot be ranked")
    majority = np.bincount(gold).max() / gold.size
    return ClosedSetScores(
        scores.argmax(axis=2) == gold, scores.mean(axis=0).argmax(axis=1) == gold, float(majority), 1 / labels
    )


def distribution_spearman(
    scores: Float[np.ndarray, "items labels"], counts: Float[np.ndarray, "items labels"]
) -> Float[np.ndarray, "items"]:
    """Return Spearman's correlation of each item's label scores with how often the item has each label.

    This is ViComTe's second number: the mean over items, in [-1, 1], is reported (with the population
    standard deviation, as `numpy.std`). `counts` are those mined from Visual Genome, in the order of the
    labels, with ties at mid-ranks. Where either side is constant the value is 0 (the published script
    gives NaN there).

    Args:
        scores: averaged over templates, or one template's; only their order matters.
        counts: the mined counts or shares of each label.

    Raises:
        ValueError: if the shapes differ or there are fewer than two labels.
    """
    if scores.shape != counts.shape or scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"need two equal (items, labels) arrays, got {scores.shape} and {counts.shape}")
    x, y = (stats.rankdata(side, axis=1) - (scores.shape[1] + 1) / 2 for side in (scores, counts))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return safe_ratio((x * y).sum(axis=1), spread)


def size_rank_accuracy(
    scores: Float[np.ndarray, "items objects"],
    answers: Bool[np.ndarray, "items objects"],
    others: Bool[np.ndarray, "items objects"],
) -> Float[np.ndarray, "items"]:
    """Return ViComTe's size score of each item, in [0, 1]; a random order gives about one half.

    All objects that are smaller or larger than the item are ranked; of k right answers (the smaller
    ones, in `size_smaller`), those within the first k places count, and so do the wrong ones behind them.

    Args:
        scores: a score for each object.
        answers: the objects on the asked side of the item.
        others: the objects on the other side. Objects in neither are of the item's own size.

    Raises:
        ValueError: if an item has no object on either side.
    """
    ranked = answers | others
    if not ranked.any(axis=1).all():
        raise ValueError("an item has no object to be compared with")
    order = np.where(ranked, -scores, np.inf).argsort(axis=1, kind="stable")
    first = np.arange(scores.shape[1]) < answers.sum(axis=1, keepdims=True)
    right = np.take_along_axis(answers, order, 1) & first | np.take_along_axis(others, order, 1) & ~first
    return right.sum(axis=1) / ranked.sum(axis=1)
