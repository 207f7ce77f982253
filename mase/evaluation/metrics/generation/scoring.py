"""All sentence metrics of a set of candidates at once, with what a bootstrap over examples needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from mase.evaluation.metrics.generation.bleu import bleu_statistics, corpus_bleu, resampled_bleu
from mase.evaluation.metrics.generation.cider import cider
from mase.evaluation.metrics.generation.coverage import coverage
from mase.evaluation.metrics.generation.rouge import rouge_2_pairs, rouge_l_coco, rouge_l_pairs
from mase.evaluation.metrics.generation.tokens import check_references, tokenise
from mase.evaluation.metrics.means import resampled_mean, resampled_ratio

SCORES = ("bleu_3", "bleu_4", "rouge_2", "rouge_l", "rouge_l_coco", "cider", "coverage")
"""All in [0, 1] but `cider`, in [0, 10]. `rouge_2` and `rouge_l` are ROUGE-1.5.5's, per pair."""

_BLEU = {"bleu_3": 2, "bleu_4": 3}


@dataclass(frozen=True)
class GenerationScores:
    """The scores of each example, in the order of the candidates.

    Attributes:
        bleu: the statistics of `bleu_statistics`, which add up.
        pairs: for `rouge_2` and `rouge_l`, the sum over references and their number.
        means: for the other metrics, the score of each example.
    """

    bleu: Float[np.ndarray, "n 10"]
    pairs: Mapping[str, Float[np.ndarray, "n 2"]]
    means: Mapping[str, Float[np.ndarray, "n"]]

    def values(self) -> dict[str, float]:
        """Return each metric of `SCORES` that was asked for."""
        bleu = corpus_bleu(self.bleu.sum(axis=0))
        found = {name: float(bleu[at]) for name, at in _BLEU.items()}
        found |= {name: float(pair[:, 0].sum() / pair[:, 1].sum()) for name, pair in self.pairs.items()}
        found |= {name: float(score.mean()) for name, score in self.means.items()}
        return {name: found[name] for name in SCORES if name in found}

    def resampled(self, counts: UInt8[np.ndarray, "R n"]) -> dict[str, Float[np.ndarray, "R"]]:
        """Return each metric on each resample; CIDEr with the document frequencies of the whole set."""
        bleu = resampled_bleu(self.bleu[None], counts)[:, 0]
        found = {name: bleu[:, at] for name, at in _BLEU.items()}
        for name, pair in self.pairs.items():
            found[name] = resampled_ratio(pair[None, :, 0], pair[:, 1], counts)[:, 0]
        for name, score in self.means.items():
            found[name] = resampled_mean(score[None], counts)[:, 0]
        return {name: found[name] for name in SCORES if name in found}


def generation_scores(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    concepts: Sequence[Sequence[str]] | None = None,
) -> GenerationScores:
    """Score generated sentences.

    Args:
        candidates: one sentence per example (in CommonGen: per concept set), as text.
        references: the references of each example, as text.
        concepts: the concepts that each example asks for; None leaves coverage out.

    Raises:
        ValueError: if the lengths differ, or an example has no reference or no concept.
    """
    check_references(candidates, references)
    words = [tokenise(text) for text in candidates]
    words_of_references = [[tokenise(text) for text in group] for group in references]
    means = {
        "rouge_l_coco": rouge_l_coco(words, words_of_references),
        "cider": cider(words, words_of_references),
    }
    if concepts is not None:
        means["coverage"] = coverage(candidates, concepts)
    pairs = {
        "rouge_2": rouge_2_pairs(candidates, references),
        "rouge_l": rouge_l_pairs(candidates, references),
    }
    return GenerationScores(bleu_statistics(words, words_of_references), pairs, means)
