"""Neighbours of probe words, for the eye."""

from collections.abc import Callable, Sequence

import numpy as np

from mase.proxies.checking.metrics import unit

PROBE_WORDS = tuple(
    "dog puppy cat horse cow bird fish tree flower grass car truck bus train airplane boat bicycle street "
    "house kitchen table chair plate pizza cake banana apple ball bat hat shirt man woman child crowd "
    "water rain wind snow beach thunder engine siren bell music speech laughter applause "
    "running walking swimming cooking dancing skiing singing driving".split()
)
SHOWN = ("puppy", "bus", "banana", "woman", "siren", "rain", "swimming", "cooking")


def nearest(
    encode: Callable[[Sequence[str]], np.ndarray],
    words: Sequence[str] = PROBE_WORDS,
    shown: Sequence[str] = SHOWN,
    count: int = 3,
) -> dict[str, list[str]]:
    """Return the nearest other words of each shown word, most similar first, the words' mean subtracted.

    Args:
        encode: texts to vectors.
        words: all candidates; `shown` are among them.
        shown: words whose neighbours are wanted.
        count: neighbours per word.
    """
    vectors = encode(list(words))
    vectors = unit(vectors - vectors.mean(axis=0))
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
    return {word: [words[int(index)] for index in order[words.index(word)]] for word in shown}
