"""The texts of data sets that are no task here: CommonsenseQA, CommonGen, VQA, or any file of lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mase.data.decoding import decode
from mase.errors import DataError

FORMATS = (
    "CommonsenseQA's .jsonl (the questions), CommonGen's .jsonl (the sentences), "
    "VQA's questions as .json, or any other file with a text a line"
)


def texts_in(path: Path) -> list[str]:
    """Return the different texts of a file, in the order of the file.

    Formats: a `.json` file with VQA's `questions`; a `.jsonl` file whose objects have CommonsenseQA's
    `question.stem` or CommonGen's list `scene`; in any other file every line that is not blank is a text.

    Raises:
        DataError: if the file is missing, not UTF-8, of another format, or has no text; with the line.
    """
    content = decode(path)
    if path.suffix == ".json":
        texts = _questions(path, content)
    else:
        lines = enumerate(content.split("\n"), start=1)
        rows = ((number, line.strip()) for number, line in lines if line.strip())
        read = _objects(path, rows) if path.suffix == ".jsonl" else (line for _, line in rows)
        texts = list(read)
    if not texts:
        raise DataError(f"{path}: no text in it; expected {FORMATS}")
    return list(dict.fromkeys(texts))


def _questions(path: Path, content: str) -> list[str]:
    try:
        return [_text(record["question"]) for record in json.loads(content)["questions"]]
    except (ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{path}: no VQA questions ({cause!r}); expected {FORMATS}") from cause


def _objects(path: Path, rows: Iterator[tuple[int, str]]) -> Iterator[str]:
    for number, line in rows:
        try:
            yield from _texts_of(json.loads(line))
        except (ValueError, KeyError, TypeError) as cause:
            raise DataError(f"{path}, line {number}: {cause!r}; expected {FORMATS}") from cause


def _texts_of(record: Any) -> list[str]:
    if "scene" in record:
        return [_text(sentence) for sentence in record["scene"]]
    return [_text(record["question"]["stem"])]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text should be")
    return value
