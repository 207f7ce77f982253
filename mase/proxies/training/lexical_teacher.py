"""A guess at CLIP's vector of any word, from its spelling and its place in WordNet.

There are CLIP vectors of a few hundred names only, and a tower learns nothing from them about
the words of other names. A ridge regression on two sparse kinds of features fills the gap:
character n-grams, and the synset numbers of the word or its head noun, alone and in
windows of several sizes (WordNet numbers synsets by lexicographer file and, in many files,
by kind, so that near numbers are often near meanings). It sees the distilled names only.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from mase.proxies.training.held_out import head_noun

WINDOWS = (1, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
SYNSET_WEIGHT = 0.7  # against the character n-grams
PENALTY = 1.0


def synset_features(name: str, synsets: Mapping[str, Sequence[int]]) -> str:
    """Return the windows that the synsets of a name, or else of its head noun, fall into, as words."""
    head = head_noun(name)
    numbers = next((synsets[entry] for entry in (name, head, head.rstrip("s")) if entry in synsets), ())
    return " ".join(f"{window}:{number // window}" for number in numbers for window in WINDOWS)


class LexicalTeacher:
    """Ridge regression from a name to a centred CLIP vector.

    Args:
        names: distilled names.
        vectors: their centred vectors.
        synsets: WordNet's numbers by entry.
    """

    def __init__(
        self,
        names: Sequence[str],
        vectors: Float[np.ndarray, "names width"],
        synsets: Mapping[str, Sequence[int]],
    ) -> None:
        self._synsets = synsets
        self._spelling = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(names)
        self._meaning = TfidfVectorizer(token_pattern=r"\S+").fit(self._windows(names))
        self._features = self._transform(names)
        kernel = (self._features @ self._features.T).toarray()
        self._dual = np.linalg.solve(kernel + PENALTY * np.eye(len(kernel)), vectors)

    def _windows(self, names: Sequence[str]) -> list[str]:
        return [synset_features(name, self._synsets) for name in names]

    def _transform(self, names: Sequence[str]) -> csr_matrix:
        meaning = SYNSET_WEIGHT * self._meaning.transform(self._windows(names))
        return csr_matrix(hstack([self._spelling.transform(names), meaning]))

    def predict(self, names: Sequence[str]) -> Float[np.ndarray, "names width"]:
        """Return the guessed vectors, float32 of unit length; zero where nothing is known of a name."""
        guessed = (self._transform(names) @ self._features.T) @ self._dual
        norms = np.linalg.norm(guessed, axis=1, keepdims=True)
        return np.divide(guessed, norms, out=np.zeros_like(guessed), where=norms > 0).astype(np.float32)
