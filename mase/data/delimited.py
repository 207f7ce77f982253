"""Delimited files: a header, then one record after another.

GLUE's `.tsv` files have one record a line, tabs between fields and no quoting: a double quote is
a character like any other. A `.csv` file follows RFC 4180: a field in quotes may hold commas, line
breaks, and quotes that are doubled. Columns are found by name, never by position.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from mase.data.decoding import REFETCH, decode, malformed
from mase.data.records import Record
from mase.errors import DataError

Line = tuple[int, list[str]]  # line number (from 1) and fields


def read_tsv(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield the records of a file without quoting; `wanted` columns must be in its header.

    Raises:
        DataError: if the file is malformed.
    """
    return _records(path, _tsv_lines(decode(path)), wanted)


def read_csv(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield the records of a file with quoting; `wanted` columns must be in its header.

    Raises:
        DataError: if the file is malformed.
    """
    return _records(path, _csv_lines(path, decode(path)), wanted)


def _records(path: Path, lines: Iterator[Line], wanted: Sequence[str]) -> Iterator[Record]:
    header = [name.strip() for name in next(lines, (1, [""]))[1]]
    if header == [""]:
        expected = ", ".join(map(repr, wanted))
        raise malformed(path, 1, f"the file is empty; expected a header line with {expected}", REFETCH)
    _check_header(path, header, wanted)
    line = 1
    for line, fields in lines:
        if len(fields) != len(header):
            raise _wrong_count(path, line, len(fields), len(header))
        yield line, dict(zip(header, fields, strict=True))
    if line == 1:
        raise malformed(path, 2, "there is a header but no row", REFETCH)


def _check_header(path: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    remedy = "correct the header or task.files.columns"
    missing = [name for name in wanted if name not in header]
    if missing:
        what = f"no column {', '.join(map(repr, missing))}; the header has {', '.join(map(repr, header))}"
        other = next((mark for mark in ";\t|," if len(header) == 1 and mark in header[0]), None)
        if other is not None:
            remedy = f"the separator seems to be {other!r}; a .csv has commas, a .tsv tabs (files.format)"
        raise malformed(path, 1, what, remedy)
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise malformed(path, 1, f"the header has the column {twice[0]!r} more than once", remedy)


def _tsv_lines(text: str) -> Iterator[Line]:
    """Yield the lines of a file without quoting; blank ones at the end do not count."""
    lines = text.rstrip("\r\n").split("\n")  # not splitlines: U+2028 and others occur inside fields
    width = lines[0].count("\t") + 1
    position = 0
    while position < len(lines):
        line = position + 1
        fields = lines[position].rstrip("\r").split("\t")
        position += 1
        if len(fields) < width and position < len(lines):
            rejoined = _rejoin(fields, lines[position].rstrip("\r").split("\t"))
            if len(rejoined) == width:
                fields, position = rejoined, position + 1
        yield line, fields


def _rejoin(fields: list[str], following: list[str]) -> list[str]:
    """Join the halves of a record that a line break inside a quoted field cut in two.

    The first release of QQP has a few: the field before the break opens with a double
    quote and the one after it ends with one. Anything else is left as it is.
    """
    if fields[-1].startswith('"') and following[0].endswith('"'):
        return [*fields[:-1], f"{fields[-1]} {following[0]}", *following[1:]]
    return fields


def _csv_lines(path: Path, text: str) -> Iterator[Line]:
    """Yield the records of a file with quoting, each with its first line; blank lines do not count."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as cause:
        remedy = "double the quotes inside a quoted field, or save the file as .tsv or .jsonl"
        raise malformed(path, line, str(cause), remedy) from cause


def _wrong_count(path: Path, line: int, found: int, expected: int) -> DataError:
    if found < expected:
        remedy = "the row is cut short or a separator is missing; fetch the file again or delete the line"
    else:
        remedy = "there is a separator inside a field; quote the field (.csv), remove it or delete the line"
    return malformed(path, line, f"{found} fields where the header has {expected}", remedy)
