"""Bytes to text, and the one form of an error about a data file: file, line, what is wrong, remedy."""

import codecs
from pathlib import Path

from mase.errors import DataError

REFETCH = "fetch the file again"


def malformed(path: Path, line: int, what: str, remedy: str) -> DataError:
    """Return the error about one line of a file."""
    return DataError(f"{path}:{line}: {what}; {remedy}")


def decode(path: Path) -> str:
    """Return a file's text, without a byte-order mark.

    Raises:
        DataError: if the file cannot be opened or is not UTF-8, with the line of the first bad byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as cause:
        remedy = "check data.dir and the file's permissions"
        raise DataError(f"{path}: cannot be read: {cause.strerror}; {remedy}") from cause
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        rest: bytes = cause.object  # without the byte-order mark
        line = rest.count(b"\n", 0, cause.start) + 1
        guess = "UTF-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "WINDOWS-1252"
        remedy = f"convert the file, for example with: iconv -f {guess} -t UTF-8"
        raise malformed(path, line, f"byte 0x{rest[cause.start]:02x} is not UTF-8", remedy) from cause
