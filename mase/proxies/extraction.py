"""Run a tower over texts once, and store what it gives."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mase import artifacts
from mase.errors import ArtifactError
from mase.proxies.store import KEYS, VECTORS, ProxyTable, key_order, text_keys
from mase.proxies.tower import Encoding, LimitedTower, Tower

VERSION = 1  # of what the stored vectors mean: cleaning, tokens, pooling, precision

SPAN = 2048  # texts encoded between two writes
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Overflow = Literal["truncate", "chunk_mean"]
Progress = Callable[[str, int, int], None]


def pieces_that_fit(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text at sentences, else words, else characters, into runs that fit the context.

    Sentences (or words) are packed greedily, in order; nothing is left out.
    """
    if fits(text) or len(text) < 2:
        return [text]
    units = [unit for unit in SENTENCE_END.split(text) if unit]
    if len(units) < 2:
        units = text.split()
    if len(units) < 2:
        half = len(text) // 2
        units = [text[:half], text[half:]]
        return [piece for unit in units for piece in pieces_that_fit(unit, fits)]
    runs: list[str] = []
    for unit in units:
        joined = f"{runs[-1]} {unit}" if runs else unit
        if runs and fits(joined):
            runs[-1] = joined
        else:
            runs.append(unit)
    return [piece for run in runs for piece in pieces_that_fit(run, fits)]


def _encode(tower: Tower, texts: Sequence[str]) -> Encoding:
    if isinstance(tower, LimitedTower):
        return tower.encode_checked(texts)
    return Encoding(tower.encode(texts), np.zeros(len(texts), dtype=bool))


def _mean_of_chunks(tower: LimitedTower, texts: Sequence[str]) -> np.ndarray:
    """Return the mean vector of each text's pieces, (texts, width)."""
    pieces = [pieces_that_fit(text, tower.fits) for text in texts]
    sizes = np.array([len(p) for p in pieces])
    vectors = tower.encode([piece for chunk in pieces for piece in chunk])
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    return np.add.reduceat(vectors, starts, axis=0) / sizes[:, None]


def _half(vectors: np.ndarray, tower: Tower) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = vectors.astype(np.float16)
    if not np.isfinite(half).all():
        raise ArtifactError(f"tower {tower.name} gives values that are not finite in half precision")
    return half


def _remove_debris(temporary: Path) -> None:
    """Delete what killed runs left of this artifact; the caller holds its lock."""
    stem = temporary.name.rpartition(".")[0]
    for folder in temporary.parent.glob(f"{stem}.*"):
        if folder != temporary and folder.is_dir():
            shutil.rmtree(folder)


def _write(
    folder: Path,
    tower: Tower,
    texts: list[str],
    first: int,
    keys: np.ndarray,
    overflow: Overflow,
    progress: Progress | None,
) -> Mapping[str, int]:
    """Fill an artifact folder from texts and their keys, both in extraction order.

    No batch holds texts from both sides of place `first`.
    """
    order = key_order(keys)
    row = np.empty(len(texts), dtype=np.int64)
    row[order] = np.arange(len(texts))
    np.save(folder / KEYS, keys[order])
    shape = (len(texts), tower.width)
    if not texts:
        np.save(folder / VECTORS, np.zeros(shape, dtype=np.float16))
        return {"texts": 0, "truncated": 0, "chunked": 0}
    stored = np.lib.format.open_memmap(folder / VECTORS, mode="w+", dtype=np.float16, shape=shape)
    cut = 0
    ends = [*range(0, first, SPAN), *range(first, len(texts), SPAN), len(texts)]
    for start, end in pairwise(ends):
        span = texts[start:end]
        vectors, truncated = _encode(tower, span)
        if overflow == "chunk_mean" and truncated.any() and isinstance(tower, LimitedTower):
            vectors[truncated] = _mean_of_chunks(tower, [span[i] for i in np.flatnonzero(truncated)])
        stored[row[start:end]] = _half(vectors, tower)
        cut += int(truncated.sum())
        if progress:
            progress(f"proxies {tower.name}", end, len(texts))
    stored.flush()
    counted = "chunked" if overflow == "chunk_mean" else "truncated"
    return {"texts": len(texts), "truncated": 0, "chunked": 0, counted: cut}


def extract_proxies(
    tower: Tower,
    texts: Iterable[str],
    *,
    apart: Iterable[str] = (),
    overflow: Overflow = "truncate",
    root: Path | None = None,
    progress: Progress | None = None,
) -> ProxyTable:
    """Return the tower's vectors of all texts, extracted unless they are stored already.

    Repeated texts are encoded once, shortest first. What identifies the result is the
    tower's digest, the set of texts and the overflow mode. A run that is killed leaves
    nothing that passes for whole: the next one starts over and removes the rest.

    Args:
        tower: the encoder.
        texts: any number of texts, in any order, with repeats.
        apart: more of them, encoded in batches of their own: not even the rounding of the others' vectors
            depends on them.
        overflow: a text beyond the context length is cut (`truncate`), or split into
            sentences packed to the context length whose vectors are averaged (`chunk_mean`).
        root: the store; by default `$MASE_HOME`.
        progress: called with a title, the texts done and the texts in all.

    Raises:
        ArtifactError: if a stored file does not match its manifest, or a vector is not finite.

    Reading of the paper:
        Section 3.1 takes one vector of each text and does not say what happens to a text
        longer than the tower's 77 tokens. Truncation is the default, as in every CLIP code
        base; how many texts were cut is in the manifest's counts.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be an iterable of strings, not one string")
    together = set(texts)
    unique, more = (
        sorted(part, key=lambda text: (len(text), text)) for part in (together, set(apart) - together)
    )
    first, unique = len(unique), unique + more
    keys = text_keys(unique)
    identity: dict[str, Any] = {
        "tower": tower.digest,
        "width": tower.width,
        "texts": hashlib.sha256(keys.tobytes()).hexdigest(),
        "overflow": overflow,
        **({"first": first} if more else {}),
    }

    def write(folder: Path) -> Mapping[str, Any]:
        _remove_debris(folder)
        return _write(folder, tower, unique, first, keys, overflow, progress)

    return ProxyTable.open(artifacts.build("proxies", identity, write, version=VERSION, root=root))
