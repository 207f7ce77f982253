"""Corpus BLEU as the COCO caption scorer computes it (Papineni et al. 2002), from sums per sentence.

BLEU_k = exp(min(0, 1 - r/c)) * (prod_{n<=k} m_n / g_n)^(1/k), in [0, 1]: m_n the n-grams of all candidates
that their references have too, each counted at most as often as in the one reference that has it most; g_n
all n-grams of the candidates; c the candidates' length; r the sum of the reference lengths closest to each
candidate's, of two equally close the shorter. No smoothing: without one matching n-gram the value is about
1e-6 instead of 0, since COCO adds 1e-15 to m_n and 1e-9 to g_n, kept here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from mase.evaluation.metrics.generation.tokens import check_references, ngram_counts
from mase.evaluation.metrics.metric import weighted_sums

ORDER = 4
COLUMNS = 2 * ORDER + 2
_SMALL, _TINY = 1e-9, 1e-15


def bleu_statistics(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> Float[np.ndarray, "n 10"]:
    """Return what corpus BLEU sums up over sentences.

    Args:
        candidates: one tokenised sentence per example.
        references: the tokenised references of each example.

    Returns:
        For each example the matching n-grams of orders 1 to 4, its n-grams of orders 1 to 4, its
        length, and the closest reference length.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
    """
    check_references(candidates, references)
    return np.array([_statistics(one, group) for one, group in zip(candidates, references, strict=True)])


def _statistics(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    counted = [ngram_counts(reference, ORDER) for reference in references]
    matches, totals = [], []
    for order, own in enumerate(ngram_counts(candidate, ORDER)):
        matches.append(
            float(sum(min(count, max(r[order][gram] for r in counted)) for gram, count in own.items()))
        )
        totals.append(float(own.total()))
    length = len(candidate)
    closest = min((len(reference) for reference in references), key=lambda r: (abs(r - length), r))
    return [*matches, *totals, float(length), float(closest)]


def corpus_bleu(totals: Float[np.ndarray, "*batch 10"]) -> Float[np.ndarray, "*batch 4"]:
    """Return BLEU-1 to BLEU-4 from summed statistics.

    >>> statistics = bleu_statistics([["a", "cat"]], [[["a", "cat", "sat"]]])
    >>> corpus_bleu(statistics.sum(axis=0))[:2].round(4).tolist()  # exp(1 - 3/2)
    [0.6065, 0.6065]
    """
    matches, ngrams = totals[..., :ORDER], totals[..., ORDER : 2 * ORDER]
    length, closest = totals[..., -2:-1], totals[..., -1:]
    log_precision = np.log(matches + _TINY) - np.log(ngrams + _SMALL)
    ratio = (length + _TINY) / (closest + _SMALL)
    mean = np.cumsum(log_precision, axis=-1) / np.arange(1, ORDER + 1)
    return np.exp(mean + np.minimum(0.0, 1.0 - 1.0 / ratio))


def resampled_bleu(
    statistics: Float[np.ndarray, "S n 10"], counts: UInt8[np.ndarray, "R n"]
) -> Float[np.ndarray, "R S 4"]:
    """Return BLEU-1 to BLEU-4 of each seed on each resample."""
    seeds, size, columns = statistics.shape
    flat = statistics.transpose(1, 0, 2).reshape(size, seeds * columns)
    return corpus_bleu(weighted_sums(counts, flat).reshape(len(counts), seeds, columns))
