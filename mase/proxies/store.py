"""The store of extracted vectors: an fp16 memory map and an index of texts by digest.

Files of an artifact of kind "proxies": `keys.npy`, (texts, 2) uint64, the first 16 bytes
of each text's sha256, ascending; `vectors.npy`, (texts, width) float16, in the same order.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mase.artifacts import verify
from mase.errors import ArtifactError

KEYS, VECTORS = "keys.npy", "vectors.npy"


def text_keys(texts: Iterable[str]) -> np.ndarray:
    """Return each text's key, (texts, 2) uint64: the first 16 bytes of its sha256."""
    joined = b"".join(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in texts)
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def key_order(keys: np.ndarray) -> np.ndarray:
    """Return the permutation that sorts keys.

    Raises:
        ArtifactError: if two keys share their first half, so that a lookup would be ambiguous.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    first = keys[order, 0]
    if (first[1:] == first[:-1]).any():
        raise ArtifactError(
            "two texts share the first 8 bytes of their sha256; this store cannot tell them apart"
        )
    return order


@dataclass
class ProxyTable:
    """Vectors of one tower for a set of texts, looked up by text.

    Attributes:
        width: of a vector.
        digest: of the artifact; equal digests mean equal vectors.
        folder: the artifact.
        counts: of the manifest: texts, truncated, chunked.
    """

    width: int
    digest: str
    folder: Path
    counts: dict[str, int]
    _keys: np.ndarray = field(repr=False)

    @classmethod
    def open(cls, folder: Path) -> "ProxyTable":
        """Open an artifact after checking its sums.

        Raises:
            ArtifactError: if a file is missing or its bytes changed.
        """
        manifest = verify(folder)
        width = int(manifest["identity"]["width"])
        return cls(width, manifest["digest"], folder, dict(manifest["counts"]), np.load(folder / KEYS))

    def __len__(self) -> int:
        return len(self._keys)

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """Return the row of each text, (texts,) int64.

        Raises:
            ArtifactError: naming the first text that was not extracted.
        """
        wanted = text_keys(texts)
        if not len(self):
            found, rows = np.zeros(len(wanted), dtype=bool), np.zeros(len(wanted), dtype=np.int64)
        else:
            rows = np.minimum(np.searchsorted(self._keys[:, 0], wanted[:, 0]), len(self) - 1)
            found = (self._keys[rows] == wanted).all(axis=1)
        if not found.all():
            text = texts[int(np.argmin(found))]
            shown = text if len(text) <= 80 else text[:80] + "..."
            raise ArtifactError(
                f"{self.folder}: no proxy of {shown!r} "
                f"({int((~found).sum())} of {len(texts)} texts were not extracted)"
            )
        return rows.astype(np.int64)

    def vectors(self) -> np.ndarray:
        """Map the vectors into memory, read-only, (texts, width) float16; keep the result in a loop."""
        if not len(self):  # an empty file cannot be mapped
            return np.zeros((0, self.width), dtype=np.float16)
        return np.load(self.folder / VECTORS, mmap_mode="r")
