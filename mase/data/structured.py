"""Files whose values have types and may nest: JSON, JSON Lines and Parquet."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mase.data.decoding import REFETCH, decode, malformed
from mase.data.records import Record
from mase.errors import DataError


def read_json(path: Path) -> Any:
    """Return what a file of one JSON value holds.

    Raises:
        DataError: if it is not JSON.
    """
    try:
        return json.loads(decode(path))
    except json.JSONDecodeError as cause:
        what = f"not JSON: {cause.msg} at column {cause.colno}"
        remedy = f"the file is cut short or is not one JSON value; {REFETCH}"
        raise malformed(path, cause.lineno, what, remedy) from cause


def read_jsonl(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield one record for each line that is not blank.

    Raises:
        DataError: if a line is not a JSON object, or there is none.
    """
    empty = True
    # not splitlines: U+2028 and others may stand inside a JSON text
    for line, text in enumerate(decode(path).split("\n"), start=1):
        if text.strip():
            empty = False
            yield line, _object(path, line, text)
    if empty:
        expected = ", ".join(map(repr, wanted))
        raise malformed(path, 1, f"the file is empty; expected lines with {expected}", REFETCH)


def _object(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as cause:
        if line == 1 and text.lstrip().startswith("["):
            remedy = "the file seems to hold one JSON array; write one object a line (jq -c '.[]')"
        else:
            remedy = "the line is cut short or mistyped; correct it, delete it or fetch the file again"
        raise malformed(path, line, f"not JSON: {cause.msg} at column {cause.colno}", remedy) from cause
    if not isinstance(found, dict):
        kind = {list: "an array", str: "a text"}.get(type(found), "a bare value")
        raise malformed(path, line, f"{kind}, not a JSON object", "write one object a line (jq -c '.[]')")
    return found


def read_parquet(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of a Parquet file, numbered from 1; of `optional` columns those that are there.

    Raises:
        DataError: if it is no Parquet file, lacks a column or has no rows.
    """
    import pyarrow  # only here: it takes a quarter of a second
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        there = file.schema_arrow.names
        columns = list(dict.fromkeys(name if name in there else name.split(".")[0] for name in wanted))
        missing = [name for name in columns if name not in there]
        if missing:
            what = f"no column {', '.join(map(repr, missing))}; there is {', '.join(map(repr, there))}"
            raise DataError(f"{path}: {what}; correct task.files.columns")
        columns += [name for name in optional if name in there and name not in columns]
        rows = file.read(columns=columns).to_pylist()
    except (pyarrow.ArrowException, OSError) as cause:
        raise DataError(f"{path}: cannot be read as Parquet ({cause}); {REFETCH}") from cause
    if not rows:
        raise DataError(f"{path}: the file has no rows; {REFETCH}")
    yield from enumerate(rows, start=1)
