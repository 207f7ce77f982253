"""Texts to predict, from a file: plain lines, or named columns of CSV, JSON Lines and Parquet."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mase.data.decoding import decode, malformed
from mase.data.delimited import read_csv
from mase.data.records import Fields, Record, RowError, checked_text, value
from mase.data.structured import read_jsonl, read_parquet
from mase.errors import DataError
from mase.params import FileColumns, Params

NAMED: dict[str, Callable[[Path, Sequence[str]], Iterator[Record]]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
}


@dataclass(frozen=True)
class Texts:
    """Rows to predict.

    Attributes:
        first: n texts.
        second: the n second ones of a pair task; of multiple choice all choices, question by question;
            None for a task of single texts.
        each: how many second texts go with a first.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    each: int

    def __len__(self) -> int:
        return len(self.first)

    def row(self, index: int) -> list[str]:
        """Return the texts of one row."""
        return [self.first[index], *(self.second or ())[index * self.each : (index + 1) * self.each]]

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[str]], each: int) -> "Texts":
        """Return rows of 1 + `each` texts."""
        second = tuple(text for row in rows for text in row[1:]) if each else None
        return cls(tuple(row[0] for row in rows), second, each)


def columns_of(params: Params) -> FileColumns:
    """Return the columns that a task's rows have in files: its own names, or `text_a` where it has none."""
    source = params.task.hub if params.data.source == "hub" else params.task.files
    if source is not None and params.data.source != "embedded":
        return source.columns
    return FileColumns(text_a="text_a", label="label")


def read_texts(path: Path, params: Params) -> Texts:
    """Return the rows of a file that a task's model can predict; labels are not needed.

    A `.csv`, `.jsonl` or `.parquet` file has the task's columns. Any other file has one row per line,
    its texts separated by tabs.

    Raises:
        DataError: if the file cannot be read, or a row has other texts than the task takes.
    """
    each = params.second_texts
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader = NAMED.get(path.suffix.lower())
    if reader is None:
        return Texts.of_rows(list(_tabbed(path, each)), each)
    return Texts.of_rows(list(_named(path, reader, columns_of(params), each)), each)


def _tabbed(path: Path, each: int) -> Iterator[list[str]]:
    lines = decode(path).split("\n")  # not splitlines: U+2028 and others may stand inside a text
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, start=1):
        row = _fields(line.removesuffix("\r")) if each else [line.removesuffix("\r")]
        if len(row) != each + 1:
            raise DataError(f"{path}, line {number}: the task takes {each + 1} texts, separated by tabs")
        yield row


def _fields(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter="\t", quoting=csv.QUOTE_NONE), [""])


def _named(
    path: Path, reader: Callable[[Path, Sequence[str]], Iterator[Record]], columns: FileColumns, each: int
) -> Iterator[list[str]]:
    names = [columns.text_a, *([columns.text_b] if columns.text_b else []), *columns.choices]
    for number, fields in reader(path, names):
        try:
            row = [_text(fields, columns.text_a), *_seconds(fields, columns)]
            if len(row) != each + 1:
                raise RowError(f"{len(row)} texts, but the task takes {each + 1}")
        except RowError as cause:
            remedy = cause.remedy or "correct the row, or delete it"
            raise malformed(path, number, str(cause), remedy) from cause
        yield row


def _text(fields: Fields, name: str) -> str:
    return checked_text(value(fields, name), f"column {name!r}", keep_empty=True)


def _seconds(fields: Fields, columns: FileColumns) -> list[str]:
    """Return the second text of a pair, or the choices of a question."""
    if columns.text_b is not None:
        return [_text(fields, columns.text_b)]
    if len(columns.choices) != 1:
        return [_text(fields, name) for name in columns.choices]
    name = columns.choices[0]
    listed = value(fields, name)
    if isinstance(listed, Mapping):  # as the hub has them: {label: [...], text: [...]}
        listed = listed.get("text")
    if not isinstance(listed, list):
        raise RowError(f"column {name!r} does not list choices", "list texts, or objects with a text each")
    texts = [choice.get("text") if isinstance(choice, Mapping) else choice for choice in listed]
    return [checked_text(text, f"a choice in column {name!r}", keep_empty=True) for text in texts]
