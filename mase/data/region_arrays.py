"""The named arrays of npz and h5 files of region features; one that is not compressed is not read whole."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mase.errors import DataError


def h5_arrays(path: Path) -> dict[str, Any]:
    """Return the data sets of an h5 file, by name; `image_ids` are read, the others are not.

    Raises:
        OSError: if it cannot be read.
        DataError: if h5py is not installed.
    """
    try:
        import h5py  # optional
    except ImportError as cause:
        raise DataError(
            f"{path}: h5 needs the package h5py; install it (pip install h5py), or write npz or Parquet"
        ) from cause
    file = h5py.File(path, "r")
    arrays: dict[str, Any] = {name: found for name, found in file.items() if isinstance(found, h5py.Dataset)}
    if "image_ids" in arrays:
        ids = arrays["image_ids"]
        arrays["image_ids"] = ids.asstr()[()] if h5py.check_string_dtype(ids.dtype) else ids[()]
    return arrays


def npz_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file, by name.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: if it cannot be read, or holds Python objects.
    """
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {name: _npz_array(path, archive, info) for name, info in members.items()}


def _npz_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return a member of an npz, mapped into memory where it is not compressed. Pickles are refused."""
    if info.compress_type != zipfile.ZIP_STORED:
        with archive.open(info) as member:
            return npy.read_array(member, allow_pickle=False)
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # of the member's own header: lengths of its name and extra field
        name, extra = np.frombuffer(file.read(4), dtype="<u2")
        file.seek(int(name) + int(extra), 1)
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"array {info.filename} holds Python objects, which are not read")
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")
