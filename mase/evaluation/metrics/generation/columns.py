"""What predictions of sentences say in numbers, example by example, and the metrics that read them.

BLEU is of the whole set and ROUGE of all pairs of a candidate and a reference, so they read sums; the others
are means of scores. METEOR is of the whole set too, and only its Java program knows how the examples add up:
its resamples are the means of the examples' scores, moved by the difference between the two.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, UInt8

from mase.evaluation.metrics.generation.bleu import ORDER, corpus_bleu, resampled_bleu
from mase.evaluation.metrics.generation.java import java_metric_reason, meteor, spice
from mase.evaluation.metrics.generation.scoring import generation_scores
from mase.evaluation.metrics.generation.tokens import tokenise
from mase.evaluation.metrics.means import mean_metric, resampled_mean, resampled_ratio
from mase.evaluation.metrics.metric import Metric

BLEU_COLUMNS = (
    *(f"bleu_matches_{n}" for n in range(1, ORDER + 1)),
    *(f"bleu_ngrams_{n}" for n in range(1, ORDER + 1)),
    "bleu_length",
    "bleu_reference_length",
)
PAIRS = "rouge_pairs"
"""The number of references of an example, the only column that does not depend on the candidate."""
METEOR_COLUMNS = ("meteor", "meteor_of_the_set")


def score_columns(
    candidates: Sequence[str], references: Sequence[Sequence[str]], concepts: Sequence[Sequence[str]]
) -> dict[str, Float[np.ndarray, "n"]]:
    """Score generated sentences; return one column per number that a metric reads.

    Raises:
        ValueError: if the lengths differ, or an example has no reference or no concept.
    """
    scores = generation_scores(candidates, references, concepts)
    columns = dict(zip(BLEU_COLUMNS, scores.bleu.T, strict=True))
    columns |= {f"{name}_sum": pair[:, 0] for name, pair in scores.pairs.items()}
    columns[PAIRS] = scores.pairs["rouge_2"][:, 1]
    return columns | dict(scores.means)


def java_columns(
    candidates: Sequence[str], references: Sequence[Sequence[str]], wanted: Sequence[str]
) -> dict[str, Float[np.ndarray, "n"]]:
    """Return the columns of METEOR and SPICE, of those that are wanted and that can be computed here.

    Raises:
        MaseError: if Java is there but fails.
    """
    words = [tokenise(text) for text in candidates]
    words_of_references = [[tokenise(text) for text in group] for group in references]
    columns: dict[str, np.ndarray] = {}
    if "meteor" in wanted and java_metric_reason("meteor") is None:
        whole, each = meteor(words, words_of_references)
        columns |= zip(METEOR_COLUMNS, (each, np.full(len(each), whole)), strict=True)
    if "spice" in wanted and java_metric_reason("spice") is None:
        joined = [[" ".join(reference) for reference in group] for group in words_of_references]
        columns["spice"] = spice([" ".join(candidate) for candidate in words], joined)
    return columns


def _bleu(name: str) -> Metric:
    order = int(name.removeprefix("bleu_")) - 1

    def value(labels: np.ndarray, sums: Float[np.ndarray, "n 10"]) -> float:
        return float(corpus_bleu(sums.sum(axis=0))[order])

    def resampled(
        labels: np.ndarray, sums: Float[np.ndarray, "S n 10"], counts: UInt8[np.ndarray, "R n"]
    ) -> Float[np.ndarray, "R S"]:
        return resampled_bleu(sums, counts)[..., order]

    return Metric(name, "generation", value, resampled, columns=BLEU_COLUMNS)


def _per_pair(name: str) -> Metric:
    def value(labels: np.ndarray, sums: Float[np.ndarray, "n 2"]) -> float:
        return float(sums[:, 0].sum() / sums[:, 1].sum())

    def resampled(
        labels: np.ndarray, sums: Float[np.ndarray, "S n 2"], counts: UInt8[np.ndarray, "R n"]
    ) -> Float[np.ndarray, "R S"]:
        return resampled_ratio(sums[..., 0], sums[0, :, 1], counts)

    return Metric(name, "generation", value, resampled, columns=(f"{name}_sum", PAIRS))


def _resampled_meteor(
    labels: np.ndarray, scores: Float[np.ndarray, "S n 2"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S"]:
    each, whole = scores[..., 0], scores[:, 0, 1]
    return resampled_mean(each, counts) + (whole - each.mean(axis=1))


METRICS: tuple[Metric, ...] = (
    _bleu("bleu_3"),
    _bleu("bleu_4"),
    _per_pair("rouge_2"),
    _per_pair("rouge_l"),
    mean_metric("rouge_l_coco", "generation", "rouge_l_coco"),
    mean_metric("cider", "generation", "cider"),
    mean_metric("coverage", "generation", "coverage"),
    mean_metric("spice", "generation", "spice", unavailable=partial(java_metric_reason, "spice")),
    Metric(
        "meteor",
        "generation",
        lambda labels, scores: float(scores[0, 1]),
        _resampled_meteor,
        columns=METEOR_COLUMNS,
        unavailable=partial(java_metric_reason, "meteor"),
    ),
)
"""Higher is better; all in [0, 1] but `cider`, in [0, 10]."""
