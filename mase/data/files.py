"""Official delimited files, read as they were written.

GLUE's `.tsv` files have a header, one record a line, tabs between fields and no quoting: a
double quote is a character like any other. A byte-order mark is skipped. A `.csv` file
follows the usual quoting rules. Columns are found by name, never by position. Texts are
stripped of white space at both ends.

The first thing that is wrong ends the reading with one `DataError`: file, line, remedy.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from mase.data.labels import LabelError, label_array, parse_label
from mase.data.rows import Rows
from mase.errors import DataError
from mase.params import FileColumns, FileSource, TaskParams

Record = tuple[int, list[str]]  # line number (from 1) and fields
REFETCH = "fetch the file again"


def find_file(source: FileSource, directory: str, name: str) -> Path:
    """Return the path of one of a task's files.

    The directory may be the folder of the data sets or a folder that contains it as `glue`.

    Raises:
        DataError: if the file is in neither place.
    """
    root = Path(directory).expanduser()
    places = [root / source.folder / name, root / "glue" / source.folder / name]
    for place in places:
        if place.is_file():
            return place
    looked = " and ".join(str(place) for place in places)
    remedy = f"point --data-dir (data.dir) at the folder that contains {source.folder}/"
    raise DataError(f"{name} not found: looked for {looked}; {remedy}")


def read_split(task: TaskParams, directory: str, split: str) -> tuple[Rows, Path]:
    """Read the "train" or "dev" file of a task; return its rows and its path.

    Raises:
        DataError: if the file is missing or malformed.
    """
    source = task.files
    if source is None:
        raise DataError(f"task {task.name} has no official files; choose another data.source")
    path = find_file(source, directory, source.train if split == "train" else source.dev)
    return read_file(path, task, source.columns, prefix=split), path


def read_file(path: Path, task: TaskParams, columns: FileColumns, *, prefix: str = "row") -> Rows:
    """Read one delimited file; a row's id is `prefix` and its line number.

    Raises:
        DataError: if the file is missing, empty, not UTF-8, lacks a column, or has a record
            with the wrong number of fields or a label that the task does not know.
    """
    records = (_csv_records if path.suffix.lower() == ".csv" else _tsv_records)(path, decode(path))
    header = next(records, (1, [""]))[1]
    if header == [""]:
        expected = ", ".join(map(repr, _wanted(columns)))
        raise _error(path, 1, f"the file is empty; expected a header line with {expected}", REFETCH)
    at_a, at_b, at_label = _positions(path, header, columns)
    ids, first, second, labels = [], [], [], []
    for line, fields in records:
        if len(fields) != len(header):
            raise _wrong_count(path, line, len(fields), len(header))
        try:
            labels.append(parse_label(task, fields[at_label]))
        except LabelError as cause:
            remedy = f"correct column {columns.label!r} or delete the line"
            raise _error(path, line, str(cause), remedy) from cause
        ids.append(f"{prefix}-{line}")
        first.append(fields[at_a].strip())
        if at_b is not None:
            second.append(fields[at_b].strip())
    if not ids:
        raise _error(path, 2, "there is a header but no row", REFETCH)
    texts_b = None if at_b is None else tuple(second)
    return Rows(tuple(ids), tuple(first), texts_b, label_array(task, labels))


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
        raise _error(path, line, f"byte 0x{rest[cause.start]:02x} is not UTF-8", remedy) from cause


def _tsv_records(path: Path, text: str) -> Iterator[Record]:
    """Yield the records of a file without quoting; blank lines at the end do not count."""
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


def _csv_records(path: Path, text: str) -> Iterator[Record]:
    """Yield the records of a file with quoting; blank lines do not count."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as cause:
        remedy = "double the quotes inside a quoted field, or save the file as .tsv"
        raise _error(path, line, str(cause), remedy) from cause


def _positions(path: Path, header: Sequence[str], columns: FileColumns) -> tuple[int, int | None, int]:
    names = [name.strip() for name in header]
    missing = [name for name in _wanted(columns) if name not in names]
    if missing:
        what = f"no column {', '.join(map(repr, missing))}; the header has {', '.join(map(repr, names))}"
        raise _error(path, 1, what, "correct the header or task.files.columns")
    at_b = None if columns.text_b is None else names.index(columns.text_b)
    return names.index(columns.text_a), at_b, names.index(columns.label)


def _wanted(columns: FileColumns) -> list[str]:
    return [name for name in (columns.text_a, columns.text_b, columns.label) if name is not None]


def _wrong_count(path: Path, line: int, found: int, expected: int) -> DataError:
    if found < expected:
        remedy = "the row is cut short or a tab is missing; fetch the file again or delete the line"
    else:
        remedy = "there is a separator inside a field; remove it or delete the line"
    return _error(path, line, f"{found} fields where the header has {expected}", remedy)


def _error(path: Path, line: int, what: str, remedy: str) -> DataError:
    return DataError(f"{path}:{line}: {what}; {remedy}")
