"""CIDEr as the COCO caption scorer computes it, which is CIDEr-D (Vedantam et al. 2015).

For n = 1 to 4, with g^n(s) the vector of counts times log(N / df) of a sentence's n-grams,

    CIDEr_n(c, r) = exp(-(l_c - l_r)^2 / (2 sigma^2)) * min(g^n(c), g^n(r)) . g^n(r) / (|g^n(c)| |g^n(r)|)

and the score is 10 times the mean over n and over the references r: in **[0, 10]**, not [0, 1]; about 10
only for a candidate that is every reference. Papers print it times 10 or as it is; compare the size first.
sigma is 6 and l a length in tokens. N is the number of examples and df the number of examples with the
n-gram in any reference (at least 1), so a score depends on the set that it is scored with; with one example
it is 0. There is no stemming; the tokens are those of BLEU.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mase.evaluation.metrics.generation.tokens import NGram, check_references, ngram_counts

ORDER = 4
SIGMA = 6.0
SCALE = 10.0


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many of `documents` examples an n-gram occurs in a reference."""

    counts: Mapping[NGram, int]
    documents: int

    def weight(self, ngram: NGram) -> float:
        """Return log(N / df), with df at least 1."""
        return float(np.log(self.documents) - np.log(max(1, self.counts.get(ngram, 0))))


def document_frequencies(references: Sequence[Sequence[Sequence[str]]]) -> DocumentFrequencies:
    """Count the examples in which each n-gram of orders 1 to 4 occurs in a reference."""
    counts: Counter[NGram] = Counter()
    for group in references:
        counts.update({gram for one in group for order in ngram_counts(one, ORDER) for gram in order})
    return DocumentFrequencies(counts, len(references))


def cider(
    candidates: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    frequencies: DocumentFrequencies | None = None,
) -> Float[np.ndarray, "n"]:
    """Return CIDEr of each example, in [0, 10]; the metric is their mean.

    Args:
        candidates: one tokenised sentence per example.
        references: the tokenised references of each example.
        frequencies: those of `references` unless given. A bootstrap over examples keeps them
            fixed: a resample weights these scores and does not count documents anew.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
    """
    check_references(candidates, references)
    known = frequencies or document_frequencies(references)
    scores = []
    for candidate, group in zip(candidates, references, strict=True):
        own = _Vector.of(candidate, known)
        scores.append(SCALE * float(np.mean([own.similarity(_Vector.of(one, known)) for one in group])))
    return np.array(scores)


@dataclass(frozen=True)
class _Vector:
    weights: tuple[dict[NGram, float], ...]
    norms: tuple[float, ...]
    length: int

    @classmethod
    def of(cls, tokens: Sequence[str], known: DocumentFrequencies) -> "_Vector":
        counted = ngram_counts(tokens, ORDER)
        weights = tuple({gram: n * known.weight(gram) for gram, n in order.items()} for order in counted)
        norms = tuple(float(np.sqrt(sum(w * w for w in order.values()))) for order in weights)
        return cls(weights, norms, len(tokens))

    def similarity(self, reference: "_Vector") -> float:
        """Return the mean over n of the clipped cosine with a reference, with the length penalty."""
        cosines = [
            sum(min(w, other[gram]) * other[gram] for gram, w in own.items() if gram in other) / (norm * size)
            if norm and size
            else 0.0
            for own, other, norm, size in zip(
                self.weights, reference.weights, self.norms, reference.norms, strict=True
            )
        ]
        penalty = np.exp(-((self.length - reference.length) ** 2) / (2 * SIGMA**2))
        return float(penalty) * sum(cosines) / ORDER
