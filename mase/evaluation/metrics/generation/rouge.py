"""ROUGE-2 and ROUGE-L of sentences, in the two readings that differ by several points.

- `rouge_2_pairs`, `rouge_l_pairs`: what CommonGen's evaluation runs, ROUGE-1.5.5 with `-m -n 2`: lower case,
  every run of other than a-z and 0-9 a space, Porter stems of words longer than three letters, F1 with equal
  weight of precision and recall (beta 1), of each candidate with **one reference at a time**, averaged over
  all (candidate, reference) pairs, so that a concept set with more references counts more. Google's
  `rouge-score` with stemmer gives the same numbers per pair.
- `rouge_l_coco`: the COCO scorer, mean over examples of
  F_beta = (1 + beta^2) P R / (R + beta^2 P) with beta 1.2, P and R each the best over the references (which
  may differ for the two), on the tokens of BLEU. CommonGen's script has it switched off.

CommonGen's script further writes `1` as `#` in candidates and re-joins split tokens before ROUGE-1.5.5
sees them. That is not repeated: it only lowers candidates with the digit 1.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from mase.evaluation.metrics.generation.tokens import check_references, ngram_counts

if TYPE_CHECKING:
    from nltk.stem.porter import PorterStemmer

COCO_BETA = 1.2
STEMMED_FROM = 4
"""The shortest word that is stemmed, in letters."""
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def rouge_tokens(text: str) -> list[str]:
    """Return the stemmed words that ROUGE-1.5.5 compares."""
    return [_stem(word) for word in _NOT_A_WORD.sub(" ", text.lower()).split()]


def rouge_2_pairs(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Float[np.ndarray, "n 2"]:
    """Return the sum of ROUGE-2 F1 over the references, and their number, for each example.

    The metric is the ratio of the two columns' sums, in [0, 1]. It takes raw texts.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
    """
    return _pairs(_bigram_f1, candidates, references)


def rouge_l_pairs(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Float[np.ndarray, "n 2"]:
    """Return the same as `rouge_2_pairs` for ROUGE-L: P and R from the longest common subsequence."""
    return _pairs(_subsequence_f1, candidates, references)


def rouge_l_coco(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> Float[np.ndarray, "n"]:
    """Return COCO's ROUGE-L of each example, in [0, 1], from tokenised sentences.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
    """
    check_references(candidates, references)
    return np.array([_coco(one, group) for one, group in zip(candidates, references, strict=True)])


def longest_common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many tokens the longest common subsequence has; it may skip tokens on either side."""
    row = [0] * (len(right) + 1)
    for token in left:
        previous = row
        row = [0]
        for place, other in enumerate(right):
            row.append(previous[place] + 1 if token == other else max(row[-1], previous[place + 1]))
    return row[-1]


def _pairs(
    compare: Callable[[list[str], list[str]], float],
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
) -> np.ndarray:
    check_references(candidates, references)
    rows = []
    for candidate, group in zip(candidates, references, strict=True):
        tokens = rouge_tokens(candidate)
        rows.append((sum(compare(tokens, rouge_tokens(text)) for text in group), len(group)))
    return np.array(rows, dtype=np.float64)


def _bigram_f1(candidate: list[str], reference: list[str]) -> float:
    own, other = (ngram_counts(tokens, 2)[1] for tokens in (candidate, reference))
    return _f1((own & other).total(), own.total(), other.total())


def _subsequence_f1(candidate: list[str], reference: list[str]) -> float:
    return _f1(longest_common_subsequence(candidate, reference), len(candidate), len(reference))


def _f1(matches: int, candidate: int, reference: int) -> float:
    """Return 2PR / (P + R) = 2m / (c + r); 0 where nothing matches."""
    return 2 * matches / (candidate + reference) if matches else 0.0


def _coco(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    common = [longest_common_subsequence(candidate, reference) for reference in references]
    if not max(common):
        return 0.0
    precision = max(common) / len(candidate)
    recall = max(n / len(reference) for n, reference in zip(common, references, strict=True) if n)
    return (1 + COCO_BETA**2) * precision * recall / (recall + COCO_BETA**2 * precision)


@cache
def _stemmer() -> "PorterStemmer":
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return _stemmer().stem(word) if len(word) >= STEMMED_FROM else word
