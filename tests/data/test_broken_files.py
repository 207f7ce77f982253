"""What each broken file of a user says: one line with file, line and remedy."""

from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from mase.data.files import read_split
from mase.errors import DataError
from tests.data.toy import own_task


def refusal(folder: Path, name: str, content: str | bytes) -> str:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_split(own_task(folder, name), None, "train")
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(folder) + "/")


CSV = "review,stars\nfine,good\n"
LINE = '{"review": "fine", "stars": "good"}\n'
BROKEN: dict[str, tuple[str, str | bytes, str, str]] = {
    "csv: column": (
        "a.csv",
        "text,stars\nx,good\n",
        ":1: no column 'review'; the header has",
        "correct the header",
    ),
    "csv: twice": (
        "a.csv",
        "review,stars,review\nx,good,y\n",
        ":1: the header has the column 'review' more",
        "correct",
    ),
    "csv: separator": ("a.csv", "review;stars\nx;good\n", ":1: no column", "the separator seems to be ';'"),
    "csv: cut": (
        "a.csv",
        CSV + '"two\nlines",bad\nshort',
        ":5: 1 fields where the header has 2",
        "cut short",
    ),
    "csv: comma": ("a.csv", CSV + "well, fine,good\n", ":3: 3 fields where", "quote the field"),
    "csv: open quote": ("a.csv", CSV + 'a,"good\n', ":3: unexpected end of data", "double the quotes"),
    "csv: quote inside": ("a.csv", CSV + '"a "b" c",good\n', ":3: ", "double the quotes"),
    "csv: label": (
        "a.csv",
        CSV + "x,goood\n",
        ":3: unknown label 'goood' (did you mean 'good'?)",
        "column 'stars'",
    ),
    "csv: empty": ("a.csv", CSV + '" ",bad\n', ":3: column 'review' is empty", "empty_texts: keep"),
    "csv: encoding": ("a.csv", CSV.encode() + b"caf\xe9,bad\n", ":3: byte 0xe9 is not UTF-8", "iconv"),
    "csv: no row": ("a.csv", "review,stars\n", ":2: there is a header but no row", "fetch"),
    "jsonl: not JSON": (
        "a.jsonl",
        LINE + '{"review": "x", "st',
        ":2: not JSON: Unterminated string",
        "cut short",
    ),
    "jsonl: array": (
        "a.jsonl",
        "[\n" + LINE + "]\n",
        ":1: not JSON",
        "one JSON array; write one object a line",
    ),
    "jsonl: list": ("a.jsonl", LINE + "[1, 2]\n", ":2: an array, not a JSON object", "one object a line"),
    "jsonl: number": ("a.jsonl", LINE + "\n3\n", ":3: a bare value, not a JSON object", "one object a line"),
    "jsonl: column": (
        "a.jsonl",
        LINE + '{"text": "x"}\n',
        ":2: no column 'review'; there is 'text'",
        "correct",
    ),
    "jsonl: no label": ("a.jsonl", LINE + '{"review": "x"}\n', ":2: no column 'stars'", "neither trained on"),
    "jsonl: null label": (
        "a.jsonl",
        '{"review": "x", "stars": null}',
        ":1: no label in column",
        "labelled ones",
    ),
    "jsonl: not a text": (
        "a.jsonl",
        '{"review": 5, "stars": "bad"}',
        ":1: column 'review' is 5, not a text",
        "columns",
    ),
    "jsonl: null": (
        "a.jsonl",
        '{"review": null, "stars": "bad"}',
        ":1: column 'review' is None, not",
        "correct",
    ),
    "jsonl: surrogate": (
        "a.jsonl",
        '{"review": "\\ud83d", "stars": "bad"}',
        ":1: column 'review' holds half",
        "escapes",
    ),
    "jsonl: empty": (
        "a.jsonl",
        LINE + '{"review": "", "stars": "bad"}',
        ":2: column 'review' is empty",
        "keep",
    ),
    "jsonl: no line": (
        "a.jsonl",
        "\n\n",
        ":1: the file is empty; expected lines with 'review', 'stars'",
        "fetch",
    ),
    "jsonl: encoding": ("a.jsonl", (LINE + LINE).encode("utf-16"), ":1: byte", "iconv -f UTF-16"),
    "parquet: no": ("a.parquet", CSV, ": cannot be read as Parquet", "fetch the file again"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_is_one_error_with_file_line_and_remedy(tmp_path: Path, name: str) -> None:
    file, content, what, remedy = BROKEN[name]
    message = refusal(tmp_path, file, content)
    assert message.startswith(file + what)
    assert remedy in message.rpartition("; ")[2] or remedy in message.partition("; ")[2]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([{"text": "x", "stars": "bad"}], "a.parquet: no column 'review'; there is 'text', 'stars'; correct"),
        (
            [{"review": "x", "stars": "bad"}, {"review": "y", "stars": "worse"}],
            "a.parquet: row 2: unknown label",
        ),
        (
            [{"review": "x", "stars": "bad"}, {"review": "", "stars": "bad"}],
            "a.parquet: row 2: column 'review' is",
        ),
    ],
)
def test_a_broken_parquet_file_names_the_row(
    tmp_path: Path, records: list[dict[str, Any]], what: str
) -> None:
    parquet.write_table(arrow.Table.from_pylist(records), tmp_path / "a.parquet")
    assert refusal(tmp_path, "a.parquet", (tmp_path / "a.parquet").read_bytes()).startswith(what)


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    schema = arrow.schema([("review", arrow.string()), ("stars", arrow.string())])
    parquet.write_table(schema.empty_table(), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    assert refusal(tmp_path, "a.parquet", content).startswith("a.parquet: the file has no rows")


@pytest.mark.parametrize("score", ["9", "3,5", "ten", ""])
def test_a_bad_number_is_refused_with_its_line(tmp_path: Path, score: str) -> None:
    (tmp_path / "a.csv").write_text(f'review,stars\nx,1.5\ny,"{score}"\n')
    task = own_task(tmp_path, "a.csv", task={"family": "regression", "labels": [], "label_range": (0, 5)})
    with pytest.raises(DataError, match=r"a\.csv:3: score .*; correct column 'stars' or delete the line"):
        read_split(task, None, "train")
