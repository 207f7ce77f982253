"""Region features as arrays in a file: npz, h5 and Parquet, none of them read whole.

npz and h5 have the same arrays; T is the number of all regions:

    image_ids  (n,)                COCO numbers, or names such as COCO_val2014_000000000042
    features   (n, k, d) or (T, d) what a detector says of each region, any float type
    counts     (n,)                how many of the k are real, or how the T divide; not needed where all k are
    boxes      (n, k, 4) or (T, 4) optional: x1, y1, x2, y2 in pixels, or already between 0 and 1
    sizes      (n, 2)              width and height of each image; needed where boxes are in pixels

An npz that `numpy.savez` wrote is mapped into memory; of `savez_compressed` each array is unpacked
into memory once. A Parquet file has one row per image: `image_id`, `features` (a list of k lists of d
numbers), and optionally `boxes`, `width`, `height`. Its row groups are read one by one, a group for each
image of a batch, so write small ones (eight images or so). docs/region_features.md has an example.
"""

import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mase.data.region_arrays import h5_arrays, npz_arrays
from mase.errors import DataError

SUFFIXES = (".npz", ".h5", ".hdf5", ".parquet")
ROW_GROUPS_KEPT = 64


@dataclass(frozen=True)
class Found:
    """What a file holds of one image: (k, d) features, (k, 4) boxes or None, (width, height) or None."""

    features: np.ndarray
    boxes: np.ndarray | None
    size: np.ndarray | None


class RegionFile(Protocol):
    """An opened file: the ids of its images, in order, and what it holds of one of them."""

    ids: Sequence[Any]

    @property
    def width(self) -> int:
        """Return how many numbers a region's feature has; of the first image with regions."""
        ...

    def empty(self) -> list[int]:
        """Return which images have no region, without reading the features."""
        ...

    def read(self, index: int) -> Found:
        """Return what the file holds of image `index`."""
        ...


def open_region_file(path: Path) -> RegionFile:
    """Open a file of region features by its suffix.

    Raises:
        DataError: if the suffix is unknown, a package is missing, or the file is broken or lacks an array.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise DataError(f"{path}: region features come as {', '.join(SUFFIXES)}, not as {kind or 'that'!r}")
    try:
        if kind == ".npz":
            return ArrayFile(path, npz_arrays(path))
        return ParquetFile(path) if kind == ".parquet" else ArrayFile(path, h5_arrays(path))
    except (OSError, ValueError, zipfile.BadZipFile) as cause:  # Arrow's errors are among these
        raise DataError(f"{path}: cannot be read as {kind}: {cause}; write or fetch it again") from cause


class ArrayFile:
    """The arrays of an npz or h5 file; see the module."""

    def __init__(self, path: Path, arrays: dict[str, Any]):
        missing = [name for name in ("image_ids", "features") if name not in arrays]
        if missing:
            there = ", ".join(map(repr, arrays)) or "nothing"
            raise DataError(f"{path}: no array {missing[0]!r}; there is {there}; see docs/region_features.md")
        self.ids: Sequence[Any] = np.asarray(arrays["image_ids"]).tolist()
        self.features, self.boxes = arrays["features"], arrays.get("boxes")
        self.sizes = None if arrays.get("sizes") is None else np.asarray(arrays["sizes"])
        counts = arrays.get("counts")
        self.counts = None if counts is None else np.asarray(counts).astype(np.int64)
        self._check(path)
        self.flat = self.features.ndim == 2
        if self.flat:
            assert self.counts is not None
            self.ends = np.cumsum(self.counts)

    @property
    def width(self) -> int:
        """Return how many numbers a region's feature has."""
        return int(self.features.shape[-1])

    def empty(self) -> list[int]:
        """Return which images have no region."""
        if not self.flat and not self.features.shape[1]:
            return list(range(len(self.ids)))
        return [] if self.counts is None else np.flatnonzero(self.counts == 0).tolist()

    def read(self, index: int) -> Found:
        """Return what the file holds of image `index`."""
        count = None if self.counts is None else int(self.counts[index])
        if self.flat:
            at: Any = slice(int(self.ends[index]) - (count or 0), int(self.ends[index]))
        else:
            at = (index, slice(0, count))
        return Found(
            np.asarray(self.features[at]),
            None if self.boxes is None else np.asarray(self.boxes[at]),
            None if self.sizes is None else self.sizes[index],
        )

    def _check(self, path: Path) -> None:
        images, shape = len(self.ids), tuple(self.features.shape)
        total = images if len(shape) == 3 else 0 if self.counts is None else int(self.counts.sum())
        room = shape[1] if len(shape) == 3 else total
        wrong = None
        if len(shape) not in (2, 3) or not np.issubdtype(self.features.dtype, np.floating):
            wrong = f"features are {self.features.dtype} {shape}, not numbers (n, k, d) or (T, d)"
        elif len(shape) == 2 and self.counts is None:
            wrong = f"features {shape} are of all regions in a row, so counts must say how they divide"
        elif self.counts is not None and self.counts.shape != (images,):
            wrong = f"counts {self.counts.shape} is not one number for each of {images} images"
        elif shape[0] != total:
            wrong = f"features {shape} do not fit {images} image_ids with {total} entries in all"
        elif self.counts is not None and not ((self.counts >= 0) & (self.counts <= room)).all():
            wrong = "counts has a negative number, or more regions than features has room for"
        elif self.boxes is not None and tuple(self.boxes.shape) != (*shape[:-1], 4):
            wrong = f"boxes {tuple(self.boxes.shape)} should be {(*shape[:-1], 4)}"
        elif self.sizes is not None and self.sizes.shape != (images, 2):
            wrong = f"sizes {self.sizes.shape} should be {(images, 2)}"
        if wrong:
            raise DataError(f"{path}: {wrong}; write it as docs/region_features.md says")


class ParquetFile:
    """One row per image; see the module."""

    def __init__(self, path: Path):
        from pyarrow import parquet  # only here: it takes a quarter of a second

        self.path, self.file = path, parquet.ParquetFile(path)
        there = self.file.schema_arrow.names
        missing = [name for name in ("image_id", "features") if name not in there]
        if missing:
            raise DataError(
                f"{path}: no column {missing[0]!r}; there is {', '.join(map(repr, there))}; "
                "see docs/region_features.md"
            )
        self.columns = [n for n in ("features", "boxes", "width", "height") if n in there]
        self.ids: Sequence[Any] = self.file.read(columns=["image_id"])["image_id"].to_pylist()
        metadata = self.file.metadata
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self._kept: OrderedDict[int, Any] = OrderedDict()

    @property
    def width(self) -> int:
        """Return how many numbers a region's feature has; of the first image with regions."""
        empty = set(self.empty())
        first = next((index for index in range(len(self.ids)) if index not in empty), None)
        return 0 if first is None else self.read(first).features.shape[1]

    def empty(self) -> list[int]:
        """Return which images have no region; only groups that have missing numbers are read."""
        found: list[int] = []
        for group, start in enumerate(self.starts[:-1].tolist()):
            if self._is_full(group):
                continue
            cells = self.file.read_row_group(group, columns=["features"])["features"]
            found += [start + row for row, cell in enumerate(cells) if cell.is_valid and not len(cell)]
        return found

    def _is_full(self, group: int) -> bool:
        """Tell whether a group's statistics say that no number is missing, as one is in an empty list."""
        rows = self.file.metadata.row_group(group)
        columns = [rows.column(number) for number in range(rows.num_columns)]
        found = [c.statistics for c in columns if c.path_in_schema.split(".")[0] == "features"]
        return all(s is not None and s.has_null_count and s.null_count == 0 for s in found)

    def read(self, index: int) -> Found:
        """Return what the file holds of image `index`."""
        group = int(np.searchsorted(self.starts, index, side="right")) - 1
        table, row = self._group(group), index - int(self.starts[group])
        size = None
        if {"width", "height"} <= set(self.columns):
            size = np.array([table[name][row].as_py() for name in ("width", "height")], dtype=np.float64)
        boxes = self._matrix(table["boxes"][row], index) if "boxes" in self.columns else None
        return Found(self._matrix(table["features"][row], index), boxes, size)

    def _group(self, group: int) -> Any:
        if group not in self._kept:
            self._kept[group] = self.file.read_row_group(group, columns=self.columns)
            if len(self._kept) > ROW_GROUPS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(group)
        return self._kept[group]

    def _matrix(self, cell: Any, index: int) -> np.ndarray:
        """Return a cell that lists k lists of equal length as an array."""
        rows = cell.values
        if rows is None or not hasattr(rows, "flatten") or not hasattr(rows, "value_lengths"):
            raise DataError(
                f"{self.path}: image {self.ids[index]}: not a list of lists of numbers; "
                "write it as docs/region_features.md says"
            )
        lengths = rows.value_lengths().to_pylist()
        if len(set(lengths)) > 1:
            raise DataError(f"{self.path}: image {self.ids[index]}: rows of different lengths; correct them")
        if not lengths:
            return np.zeros((0, 0), np.float32)
        return rows.flatten().to_numpy(zero_copy_only=False).reshape(len(lengths), -1)
