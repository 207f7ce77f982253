"""Region features of images, by image id: what a detector saw, from a user's files.

The project ships no features. Bottom-up attention (Anderson et al. 2018) gives 10 to 100 regions an
image, 2,048 numbers each. Where they come from is `task.vqa.regions`: one file or several (train and
val apart), in the formats of `mase.data.region_files`; `data.regions` names others.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mase.data.files import find_file
from mase.data.region_files import open_region_file
from mase.errors import DataError
from mase.params import DataParams, TaskParams

log = logging.getLogger(__name__)

_COCO = re.compile(r"^(?:COCO_[a-z]+\d+_)?0*(\d+)(?:\.jpg)?$")
SAMPLES, SAMPLE_BYTES = 1024, 65_536  # of a file's fingerprint
PIXEL = 1.5  # a box may end so far outside its image, by rounding


@dataclass(frozen=True)
class Regions:
    """The regions of one image.

    Attributes:
        features: (k, d) float32.
        boxes: (k, 4) x1, y1, x2, y2 as shares of the image's width and height; zeros where the file has none.
    """

    features: Float[np.ndarray, "k d"]
    boxes: Float[np.ndarray, "k 4"]


def image_key(found: object) -> str:
    """Return an image's id in one form: COCO's number without zeros, any other name as it is.

    >>> image_key("COCO_val2014_000000000042.jpg"), image_key(42), image_key("vg-7")
    ('42', '42', 'vg-7')
    """
    name = found.decode() if isinstance(found, bytes) else str(found).strip()
    number = _COCO.match(name)
    return name if number is None else number[1]


class RegionStore:
    """Files of region features that together answer for the images of a task.

    Raises:
        DataError: if a file is missing or broken, or an image stands twice.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = tuple(paths)
        self.files = [open_region_file(path) for path in self.paths]
        self._places: dict[str, tuple[int, int]] = {}
        for number, file in enumerate(self.files):
            for index, name in enumerate(file.ids):
                key = image_key(name)
                if key in self._places:
                    first = self.paths[self._places[key][0]]
                    raise DataError(
                        f"{self.paths[number]}: image {key} stands there and in {first}; keep it once"
                    )
                self._places[key] = (number, index)

    def __len__(self) -> int:
        return len(self._places)

    def require(self, images: Iterable[str], width: int) -> None:
        """Check that every image is there with a region, and that features of all files have `width` numbers.

        Raises:
            DataError: if an image is missing or has no region, or features are of another width.
        """
        wanted = sorted({image_key(image) for image in images})
        missing = [key for key in wanted if key not in self._places]
        where = ", ".join(map(str, self.paths))
        if missing:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise DataError(
                f"{where}: no region features of {len(missing)} of {len(wanted)} images ({shown}); add their "
                "file to data.regions, or cap the rows (data.max_train_rows, data.max_eval_rows)"
            )
        self._require_regions(wanted)
        widths = {path: f.width for path, f in zip(self.paths, self.files, strict=True) if len(f.ids)}
        first = next(iter(widths), None)
        for path, found in widths.items():
            if first is not None and found != widths[first]:
                raise DataError(
                    f"{path}: features have {found} numbers, but those of {first} have {widths[first]}; "
                    "write all files with the features of one detector"
                )
        if first is not None and widths[first] != width:
            raise DataError(
                f"{where}: features have {widths[first]} numbers, but task.vqa.region_width is {width}; "
                f"set it to {widths[first]}"
            )

    def _require_regions(self, wanted: Sequence[str]) -> None:
        places = [self._places[key] for key in wanted]
        for number, file in enumerate(self.files):
            empty = set(file.empty())
            found = [k for k, (n, i) in zip(wanted, places, strict=True) if n == number and i in empty]
            if found:
                shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
                raise DataError(
                    f"{self.paths[number]}: {len(found)} images have no region ({shown}); "
                    "give each one for the whole image, or cap the rows to leave them out"
                )

    def regions(self, image: str) -> Regions:
        """Return the regions of an image.

        Raises:
            DataError: if it is missing or has no region, a number is not finite, or its boxes do not fit.
        """
        key = image_key(image)
        if key not in self._places:
            raise DataError(f"{', '.join(map(str, self.paths))}: no region features of image {key}")
        number, index = self._places[key]
        found, where = self.files[number].read(index), f"{self.paths[number]}: image {key}"
        features = np.asarray(found.features, dtype=np.float32)
        if features.ndim != 2 or not features.size:
            raise DataError(f"{where} has no region; leave it out, or give it one for the whole image")
        if not np.isfinite(features).all():
            raise DataError(f"{where} has a feature that is not a finite number; write the file again")
        return Regions(features, _shares(found.boxes, found.size, len(features), where))


def _shares(
    boxes: np.ndarray | None, size: np.ndarray | None, count: int, where: str
) -> Float[np.ndarray, "k 4"]:
    """Return boxes as shares of the image."""
    if boxes is None:
        return np.zeros((count, 4), np.float32)
    corners = np.asarray(boxes, dtype=np.float64)
    if corners.shape != (count, 4):
        raise DataError(f"{where} has boxes {corners.shape}, but {count} regions; write the file again")
    extent = np.ones(4) if size is None else np.tile(np.asarray(size, dtype=np.float64), 2)
    slack = 1e-3 if size is None else PIXEL
    if not ((extent > 0) & (corners >= -slack) & (corners <= extent + slack)).all():
        what = "boxes that are not between 0 and 1, and no image size" if size is None else "a box outside it"
        raise DataError(
            f"{where} has {what}; write boxes as x1, y1, x2, y2 in pixels, beside width and height"
        )
    return (corners / extent).clip(0.0, 1.0).astype(np.float32)


def region_paths(task: TaskParams, data: DataParams) -> list[Path]:
    """Return the files of a task's region features: below the folder of its files, or absolute.

    Raises:
        DataError: if one is in none of the places.
    """
    if task.vqa is None or not task.vqa.regions:
        if data.regions:
            _say_unread(task.name)
        return []
    if task.files is None:
        raise DataError(
            f"task {task.name} has task.vqa.regions but no files, which say in which folder they are"
        )
    try:
        return [find_file(task.files, data.dir, name) for name in data.regions or task.vqa.regions]
    except DataError as cause:
        raise DataError(
            f"{cause}. Region features are not part of this project; docs/region_features.md says what to "
            "bring, and --set data.regions=[...] names it"
        ) from cause


@lru_cache
def _say_unread(task: str) -> None:
    """Say once of a task that it reads no regions; a table gives all its tasks the same `--set`."""
    log.warning(
        "task %s: data.regions is read by tasks with task.vqa.regions, such as vqa_v2_regions; ignored", task
    )


def open_regions(task: TaskParams, data: DataParams) -> RegionStore:
    """Open a task's region features; a process opens the same files once.

    Raises:
        DataError: see `RegionStore` and `region_paths`.
    """
    paths = region_paths(task, data)
    return _opened(tuple(paths), tuple(path.stat().st_mtime_ns for path in paths))


@lru_cache(maxsize=4)
def _opened(paths: tuple[Path, ...], _modified: tuple[int, ...]) -> RegionStore:
    return RegionStore(paths)


@lru_cache(maxsize=64)
def _sampled_digest(path: Path, size: int, _modified: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in np.linspace(0, max(0, size - SAMPLE_BYTES), SAMPLES).astype(np.int64).tolist():
            file.seek(start)
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def fingerprint(path: Path) -> str:
    """Return a digest of a file's size and of 1,024 pieces of it, evenly spread.

    Files of features have tens of gigabytes, too many to hash for every run; up to 64 MiB this
    reads every byte.
    """
    status = path.stat()
    return _sampled_digest(path, status.st_size, status.st_mtime_ns)
