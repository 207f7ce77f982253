"""One record of a source, and what can be wrong with it wherever it comes from.

A record is a mapping from column names to values: texts in delimited files, anything that JSON
or Arrow can hold elsewhere. Whoever knows the place (file and line, or data set and row) turns a
`RowError` into a `DataError`.
"""

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]
Record = tuple[int, Fields]  # line (or row of a Parquet file) from 1, and its fields
SURROGATE = re.compile("[\ud800-\udfff]")
UNLABELLED = (
    "rows without labels (an official test file) can be neither trained on nor scored; give labelled ones"
)


class RowError(ValueError):
    """A record cannot be a row of the task.

    Attributes:
        remedy: what to do about it; None: whoever knows the source says so.
    """

    def __init__(self, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True)
class Example:
    """What a record asks.

    Attributes:
        texts_a, texts_b: one text of each, or as many as the question has choices.
        label: class id, index of the right choice, or score; several numbers where the family needs them.
        references: what a right answer may be, in words.
        group: what it must not be parted from in a split; stratum: what kind of example it is.
        id: its name in the official files, where it has one.
    """

    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...] | None
    label: float | tuple[float, ...]
    references: tuple[str, ...] | None = None
    group: str | None = None
    stratum: str | None = None
    id: str | None = None


def value(fields: Fields, name: str) -> Any:
    """Return the value of a column, or of a nested field by its dotted path.

    Raises:
        RowError: if there is none.
    """
    if name in fields:
        return fields[name]
    found: Any = fields
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            there = ", ".join(map(repr, found if isinstance(found, Mapping) else fields))
            what = f"no column {name!r}; there is {there or 'nothing'}"
            raise RowError(what, "correct the row, or columns in the task's YAML")
        found = found[part]
    return found


def text(fields: Fields, name: str, *, keep_empty: bool) -> str:
    """Return the text in a column, stripped of white space at both ends.

    Raises:
        RowError: if it is no text, or is empty and `keep_empty` is false.
    """
    return checked_text(value(fields, name), f"column {name!r}", keep_empty=keep_empty)


def checked_text(found: object, where: str, *, keep_empty: bool) -> str:
    """Return a value that must be a text, stripped.

    Raises:
        RowError: as `text`; or if it holds half of a surrogate pair, as broken JSON escapes do.
    """
    if not isinstance(found, str):
        what = f"{where} is {reprlib.repr(found)}, not a text"
        raise RowError(what, "correct the row, or columns in the task's YAML")
    if SURROGATE.search(found):
        raise RowError(f"{where} holds half of a surrogate pair", "correct the \\u escapes of the text")
    stripped = found.strip()
    if not stripped and not keep_empty:
        raise RowError(
            f"{where} is empty", "fill it in, delete the row, or accept such rows (empty_texts: keep)"
        )
    return stripped


def answer(fields: Fields, name: str) -> Any:
    """Return the value of the column that says what is right.

    Raises:
        RowError: if there is no such column, as in official test files.
    """
    try:
        return value(fields, name)
    except RowError as cause:
        raise RowError(str(cause), UNLABELLED) from cause


def label_text(fields: Fields, name: str) -> str:
    """Return the label as a delimited file would write it: `1` for 1.0, `true` for true.

    Raises:
        RowError: if the record has none.
    """
    found = answer(fields, name)
    if found is None:
        raise RowError(f"no label in column {name!r}", UNLABELLED)
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found).strip()


def sentences(
    columns_a: str, columns_b: str | None, fields: Fields, *, keep_empty: bool
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the text of a record, or the two of a pair, each in a tuple of its own.

    Raises:
        RowError: as `text`.
    """
    first = (text(fields, columns_a, keep_empty=keep_empty),)
    return first, None if columns_b is None else (text(fields, columns_b, keep_empty=keep_empty),)
