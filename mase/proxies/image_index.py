"""A gallery of images as vectors, and the nearest of them to a query.

A gallery is a folder of image files, which an OpenCLIP model's image tower reads once and the store keeps,
or a feature file that the user has: `NAME.npy`, (images, width) of any float type, with `NAME.names.txt`
beside it, one name or path a line.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mase import artifacts
from mase.data.named_vectors import LISTING, read_npy
from mase.errors import CheckpointFormatError, DataError, MissingWeightsError, ParamsError
from mase.params import TowerParams
from mase.proxies.locate import find_local, local_places

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FEATURES = ".npy"
VERSION = 1  # of what stored image vectors mean
BATCH = 32  # images that are open at a time
QUERIES = 1024  # texts x images compared at a time
LINKS, BREADTH = 32, 256  # of the approximate graph: neighbours of a node, nodes looked at

Encode = Callable[[Sequence[Path]], np.ndarray]


@dataclass(frozen=True)
class Gallery:
    """Images by name, with their vectors scaled to length one, (images, width) float32."""

    names: tuple[str, ...]
    vectors: Float[np.ndarray, "images width"]
    digest: str


def gallery_place(tower: TowerParams, images: str) -> Path:
    """Return the folder or the feature file that a tower's images are in.

    Raises:
        MissingWeightsError: if it is not there, or a folder without images.
        ParamsError: if it is another kind of file.
    """
    place = find_local(images)
    if place is None or (place.is_dir() and not image_files(place)):
        what = "is not there" if place is None else f"has no image ({', '.join(IMAGE_SUFFIXES)})"
        looked = " or ".join(map(str, local_places(images)))
        raise MissingWeightsError(
            f"tower {tower.name}: retrieval.images: {looked} {what}; give a folder of images, or "
            f"NAME{FEATURES} with NAME{LISTING} beside it. Without images, take the embedded stand-in: "
            "--set towers.image=embedded-image"
        )
    if place.is_file() and place.suffix != FEATURES:
        raise ParamsError(
            f"tower {tower.name}: retrieval.images: {place} is neither a folder nor a {FEATURES} file"
        )
    return place


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder and the folders in it, by their relative paths."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def gallery_digest(tower: TowerParams, images: str) -> str:
    """Return a digest of the bytes of all images, or of a feature file and its names; not of places."""
    place = gallery_place(tower, images)
    files = image_files(place) if place.is_dir() else [place, _listing(place)]
    states = [(path, path.stat()) for path in files]
    digest = hashlib.sha256()
    for path, state in states:
        digest.update(_file_digest(path, state.st_size, state.st_mtime_ns).encode())
    return digest.hexdigest()[:20]


@lru_cache(maxsize=100_000)
def _file_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    return artifacts.sha256_file(path)


def _listing(features: Path) -> Path:
    path = features.with_name(features.name.removesuffix(FEATURES) + LISTING)
    if not path.is_file():
        raise CheckpointFormatError(f"{features}: {path.name} is not beside it; it names an image a line")
    return path


def read_features(tower: TowerParams, path: Path) -> Gallery:
    """Read a feature file.

    Raises:
        CheckpointFormatError: if the file and its names do not fit each other, or the tower.
    """
    try:
        names, vectors = read_npy(path)
    except DataError as cause:
        raise CheckpointFormatError(f"no readable table of features: {cause}") from cause
    if vectors.shape[1] != tower.output_width:
        raise CheckpointFormatError(
            f"{path} has shape {vectors.shape}, but the tower's output_width is {tower.output_width}"
        )
    return Gallery(tuple(names), _unit(vectors, path), gallery_digest(tower, str(path)))


def encode_folder(tower: TowerParams, folder: Path, model: str, encode: Encode) -> Gallery:
    """Return a folder's images, encoded unless the store has them.

    Args:
        tower: whose images they are.
        folder: looked through with the folders in it; images are opened a batch at a time.
        model: what identifies the image tower.
        encode: gives (images, width) float32 vectors of some files.
    """
    files = image_files(folder)
    content = gallery_digest(tower, str(folder))
    identity = {"model": model, "images": content, "count": len(files)}

    def write(target: Path) -> Mapping[str, Any]:
        parts = [encode(files[start : start + BATCH]) for start in range(0, len(files), BATCH)]
        np.save(target / "vectors.npy", np.concatenate(parts))
        return {"images": len(files)}

    place = artifacts.build("images", identity, write, version=VERSION)
    vectors = _unit(np.load(place / "vectors.npy", allow_pickle=False), folder)
    names = tuple(path.relative_to(folder).as_posix() for path in files)
    return Gallery(names, vectors, artifacts.digest_of(identity))


def _unit(vectors: np.ndarray, where: Path) -> np.ndarray:
    if not np.issubdtype(vectors.dtype, np.floating) or not np.isfinite(vectors).all():
        raise CheckpointFormatError(f"{where} holds values that are not finite real numbers")
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise CheckpointFormatError(f"{where}: image {int(np.argmin(lengths))} has a vector of zeros")
    return vectors / lengths


class ExactIndex:
    """Compare a query with every image."""

    def __init__(self, vectors: Float[np.ndarray, "images width"]):
        self.vectors = vectors

    def search(self, queries: Float[np.ndarray, "texts width"], count: int) -> Int[np.ndarray, "texts count"]:
        """Return the images of largest cosine, best first; of equal ones, the first in the gallery."""
        found = np.empty((len(queries), count), np.int64)
        for start in range(0, len(queries), QUERIES):
            cosines = queries[start : start + QUERIES] @ self.vectors.T
            found[start : start + QUERIES] = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        return found


class ApproximateIndex:
    """Walk a graph of near images (Malkov and Yashunin 2020), through faiss.

    One thread builds it, so that it is the same every time.

    Raises:
        ParamsError: if faiss is not installed.
    """

    def __init__(self, vectors: Float[np.ndarray, "images width"]):
        try:
            library: Any = import_module("faiss")
        except ImportError as cause:
            raise ParamsError(
                "retrieval.search: approximate needs faiss; run: pip install faiss-cpu, or set it to exact"
            ) from cause
        self.index = library.IndexHNSWFlat(vectors.shape[1], LINKS, library.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = self.index.hnsw.efSearch = BREADTH
        threads = library.omp_get_max_threads()
        library.omp_set_num_threads(1)
        try:
            self.index.add(np.ascontiguousarray(vectors))
        finally:
            library.omp_set_num_threads(threads)

    def search(self, queries: Float[np.ndarray, "texts width"], count: int) -> Int[np.ndarray, "texts count"]:
        """Return images of large cosine, best first; almost always the largest."""
        _, found = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), count)
        if (found < 0).any():
            raise ParamsError(f"the approximate search found fewer than {count} images; set it to exact")
        return found


INDEXES = {"exact": ExactIndex, "approximate": ApproximateIndex}
