"""Sentence-level proxies h^m as arrays (Section 3.1): which texts, which features, which scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mase.data import Rows
from mase.proxies import ProxyTable


def joined(text_a: str, text_b: str) -> str:
    """Return the one string that the paper's x_i is for a sentence pair."""
    return f"{text_a} {text_b}"


@dataclass(frozen=True)
class Standardiser:
    """Per-feature mean and deviation of the training rows; identity where not asked for."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, active: bool) -> "Standardiser":
        """Return statistics of (n, d) features, or the identity."""
        width = features.shape[1]
        if not active or not len(features):
            return cls(np.zeros(width, np.float32), np.ones(width, np.float32))
        return cls(features.mean(0), np.maximum(features.std(0), 1e-6))

    @classmethod
    def beside(cls, parts: "Sequence[Standardiser]") -> "Standardiser":
        """Return the scale of features that are concatenated from several sources."""
        return cls(np.concatenate([p.mean for p in parts]), np.concatenate([p.deviation for p in parts]))

    def part(self, start: int, stop: int) -> "Standardiser":
        """Return the scale of the columns `start:stop`."""
        return Standardiser(self.mean[start:stop], self.deviation[start:stop])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self.mean) / self.deviation).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., d) to length one; a zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def sentence_features(table: ProxyTable, rows: Rows, pair_mode: str) -> np.ndarray:
    """Return (n, d) proxies of the rows.

    One sentence, or `joined`: the tower's vector. `siamese` pairs: [a; b; |a - b|; a * b]
    of the unit vectors of the two sentences (Conneau et al. 2017).
    """
    vectors = table.vectors()
    if rows.texts_b is None:
        return unit(vectors[table.rows(rows.texts_a)])
    if pair_mode == "joined":
        return unit(
            vectors[table.rows([joined(a, b) for a, b in zip(rows.texts_a, rows.texts_b, strict=True)])]
        )
    a, b = unit(vectors[table.rows(rows.texts_a)]), unit(vectors[table.rows(rows.texts_b)])
    return np.concatenate([a, b, np.abs(a - b), a * b], axis=1)


def texts_to_encode(rows: Sequence[Rows], pair_mode: str) -> list[str]:
    """Return the distinct texts that the towers must see for these rows."""
    texts: set[str] = set()
    for part in rows:
        if part.texts_b is not None and pair_mode == "joined":
            texts.update(joined(a, b) for a, b in zip(part.texts_a, part.texts_b, strict=True))
        else:
            texts.update(part.texts())
    return sorted(texts)
