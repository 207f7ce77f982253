"""Vectors of named things from a user's files, in either of two layouts.

NAME.npz    an array of the names, (n,), and one of their vectors, (n, d); the caller knows the arrays
NAME.npy    the vectors, (n, d), with NAME.names.txt beside it, one name a line
"""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mase.errors import DataError

LISTING = ".names.txt"


def given_file(name: str, setting: str) -> Path:
    """Return the path of a file that a setting names.

    Raises:
        DataError: if there is no such file.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(f"{setting}: {path} is not there")
    return path


def read_npz(path: Path, names: str, vectors: str) -> tuple[list[str], Float[np.ndarray, "n d"]]:
    """Return the names in the array `names`, and their vectors in the array `vectors`.

    Raises:
        DataError: if the file is no npz, lacks an array or holds no name, or the two do not fit together,
            or a vector holds anything but finite numbers.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            found, rows = content[names], content[vectors]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as cause:
        raise DataError(
            f"{path}: expected an npz file with {names} (n,) and {vectors} (n, d): {cause}"
        ) from cause
    if found.ndim != 1 or rows.ndim != 2 or len(found) != len(rows) or not len(rows):
        shapes = f"{names} {found.shape} and {vectors} {rows.shape}"
        raise DataError(f"{path}: {shapes}; expected (n,) and (n, d), n above 0")
    if found.dtype.kind != "U":
        raise DataError(f"{path}: {names} are {found.dtype}; expected texts")
    return found.tolist(), _checked(path, rows)


def read_npy(path: Path) -> tuple[list[str], Float[np.ndarray, "n d"]]:
    """Return the names in a table's listing, and the table's vectors.

    Raises:
        DataError: if either file cannot be read or is empty, they do not fit together, or a vector
            holds anything but finite numbers with a fraction.
    """
    listing = path.with_suffix(LISTING)
    try:
        names = listing.read_text(encoding="utf-8").splitlines()
        rows = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as cause:
        raise DataError(f"{path}: cannot be read with {listing.name} ({cause})") from cause
    fit = rows.ndim == 2 and len(rows) == len(names) > 0
    if not fit or not np.issubdtype(rows.dtype, np.floating):
        raise DataError(f"{listing} has {len(names)} names but {path.name} is {rows.dtype} {rows.shape}")
    return names, _checked(path, rows)


def _checked(path: Path, rows: np.ndarray) -> np.ndarray:
    if rows.dtype.kind not in "fiu" or not np.isfinite(rows).all():
        raise DataError(f"{path}: vectors that are not finite numbers")
    return rows
