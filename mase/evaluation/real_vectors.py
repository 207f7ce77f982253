"""Figure 5 (b): vectors that a user has of named things, against the proxies of these names.

A folder holds `NAME.npy`, (n, d) numbers, beside `NAME.names.txt`, one name per line; a name may have
several vectors (of several pictures). `NAME.kind.txt` may say what the vectors are of: "image", "audio",
"video" or "text". Only vectors of images say anything on images: a distance between a proxy and a
vector of a text is a distance between two texts, however small it is.

Two models' vectors have no common space. What is compared is therefore which things are close: the
shared neighbours and the rank correlation of all pairwise similarities. Where proxies and vectors have
one width they may be of one model, and the modality gap is measured as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from mase import seeds
from mase.data.named_vectors import read_npy
from mase.errors import DataError
from mase.evaluation.embedding import (
    exchanged_gap,
    gap,
    silhouettes,
    told_apart,
    unit_vectors,
)
from mase.evaluation.embedding_numbers import Z95

KINDS = ("image", "audio", "video", "text")
NAMES = 600  # a seeded sample, that numbers and pictures are made of
NEIGHBOURS = 10
CLUSTERS = 7  # colours of the picture


@dataclass(frozen=True)
class RealVectors:
    """Vectors of named things.

    Attributes:
        source: the name of the files.
        kind: what the vectors are of, one of `KINDS`; empty if the files do not say.
        names: unique, sorted.
        vectors: (names, d) of unit length, the mean direction of a name's vectors.
    """

    source: str
    kind: str
    names: tuple[str, ...]
    vectors: Float[np.ndarray, "names d"]


@dataclass(frozen=True)
class Agreement:
    """How far one set of proxies orders the things as the given vectors do.

    Attributes:
        of: whose vectors; neighbours: share of a thing's ten nearest that are among its ten nearest
            in the given vectors; spearman: of all pairwise cosines. Each has a 95% interval,
            1.96 standard errors of a jackknife over ten blocks of names.
        silhouette: of the clusters of the given vectors (the picture's colours), cosine.
        gap, exchanged, separability, joint_silhouette: of given vectors and proxies in one space;
            None where the widths differ.
        neighbours_chance: the share for unrelated vectors.
    """

    of: str
    names: int
    neighbours: float
    neighbours_low: float
    neighbours_high: float
    neighbours_chance: float
    spearman: float
    spearman_low: float
    spearman_high: float
    silhouette: float
    gap: float | None = None
    exchanged: float | None = None
    separability: float | None = None
    joint_silhouette: float | None = None


def read_folder(folder: Path) -> list[RealVectors]:
    """Read every `NAME.npy` with its names, sorted by NAME.

    Raises:
        DataError: if there is none, or one does not fit its names.
    """
    tables = sorted(folder.glob("*.npy"))  # none in a folder that does not exist
    if not tables:
        raise DataError(f"{folder}: no NAME.npy; expected vectors (n, d) and NAME.names.txt, a name per line")
    return [_read(table) for table in tables]


def _read(table: Path) -> RealVectors:
    names, rows = read_npy(table)
    note = table.with_suffix(".kind.txt")
    try:
        kind = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    except (OSError, ValueError) as cause:
        raise DataError(f"{note}: cannot be read ({cause})") from cause
    if kind not in ("", *KINDS):
        raise DataError(f"{note}: {kind!r}; say what the vectors are of: {', '.join(KINDS)}")
    return _by_name(table.stem, kind, names, rows)


def _by_name(source: str, kind: str, names: Sequence[str], rows: np.ndarray) -> RealVectors:
    plain = np.array([" ".join(name.replace("_", " ").split()) for name in names])
    unique, place = np.unique(plain, return_inverse=True)
    sums = np.zeros((len(unique), rows.shape[1]))
    np.add.at(sums, place, unit_vectors(rows))
    if len(unique) < 4 * CLUSTERS:
        raise DataError(f"{source}: {len(unique)} different names; at least {4 * CLUSTERS} are needed")
    return RealVectors(source, kind, tuple(unique.tolist()), unit_vectors(sums))


def sampled(given: RealVectors, count: int = NAMES) -> RealVectors:
    """Return at most `count` of the names, the same ones every time."""
    generator = seeds.numpy_generator(0, f"real-vectors/{given.source}")
    chosen = np.sort(generator.permutation(len(given.names))[:count])
    names = tuple(given.names[i] for i in chosen)
    return RealVectors(given.source, given.kind, names, given.vectors[chosen])


def clusters(given: RealVectors) -> np.ndarray:
    """Return (names,) the clusters of the given vectors that colour every picture."""
    method = KMeans(CLUSTERS, init="k-means++", n_init="auto", random_state=0)
    return method.fit_predict(_centred(given.vectors))


def _centred(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors around their mean: most of a cosine is the mean that all share."""
    return unit_vectors(vectors - vectors.mean(axis=0))


def _similarities(vectors: np.ndarray) -> np.ndarray:
    """Return all cosines around the mean, (n, n)."""
    centred = _centred(vectors)
    return centred @ centred.T


def shared_neighbours(first: np.ndarray, second: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Return, per thing, the share of its nearest things that both sets of vectors agree on, (n,)."""
    nearest = []
    for vectors in (first, second):
        similarity = _similarities(vectors)
        np.fill_diagonal(similarity, -np.inf)
        chosen = np.argpartition(-similarity, count, axis=1)[:, :count]
        member = np.zeros(similarity.shape, dtype=bool)
        np.put_along_axis(member, chosen, True, axis=1)
        nearest.append(member)
    return (nearest[0] & nearest[1]).sum(axis=1) / count


def similarity_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation of all pairwise cosines."""
    upper = np.triu_indices(len(first), 1)
    a, b = (_similarities(vectors)[upper] for vectors in (first, second))
    found: Any = stats.spearmanr(a, b)
    return float(found.statistic)


def _jackknifed(value: float, without: Sequence[float]) -> tuple[float, float]:
    """Return value -/+ 1.96 standard errors of the delete-a-block jackknife."""
    blocks = np.asarray(without)
    error = float(np.sqrt((len(blocks) - 1) / len(blocks) * ((blocks - blocks.mean()) ** 2).sum()))
    return value - Z95 * error, value + Z95 * error


def agreement(
    of: str, given: RealVectors, proxies: Float[np.ndarray, "names p"], colours: np.ndarray
) -> Agreement:
    """Compare proxies with the given vectors of the same names.

    Args:
        of: whose proxies, for the reader.
        proxies: a vector per name.
        colours: from `clusters`.
    """
    shared = shared_neighbours(given.vectors, proxies)
    correlation = similarity_correlation(given.vectors, proxies)
    block = np.arange(len(given.names)) % 10
    kept = [np.flatnonzero(block != b) for b in range(10)]
    near = _jackknifed(float(shared.mean()), [float(shared[k].mean()) for k in kept])
    alike = _jackknifed(correlation, [similarity_correlation(given.vectors[k], proxies[k]) for k in kept])
    joint: dict[str, float] = {}
    if proxies.shape[1] == given.vectors.shape[1]:
        points = np.stack([given.vectors, unit_vectors(proxies)])
        joint = {
            "gap": gap(points, 0, 1),
            "exchanged": exchanged_gap(points, 0, 1),
            "separability": float(told_apart(points).mean()),
            "joint_silhouette": float(silhouettes(points).mean()),
        }
    return Agreement(
        of,
        len(given.names),
        float(shared.mean()),
        *near,
        NEIGHBOURS / (len(given.names) - 1),
        correlation,
        *alike,
        float(silhouette_score(_centred(proxies), colours, metric="cosine")),
        **joint,
    )
