"""SQuAD's official JSON: articles of paragraphs of questions, one flat record per question.

    {"data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [
        {"id": ..., "question": ..., "is_impossible": ..., "answers": [
            {"text": ..., "answer_start": ...}]}]}]}]}

Versions 1.1 (without `is_impossible`) and 2.0 are read alike; `plausible_answers` are no answers and
are left out. Offsets stay those of the context as it stands in the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mase.data.decoding import REFETCH
from mase.data.records import UNLABELLED, Record
from mase.data.structured import read_json
from mase.errors import DataError

KINDS = {list: "a list", dict: "an object", str: "a text", int: "a number", bool: "true or false"}


def read_squad(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield one record for each question, numbered from 1.

    Each has `id`, `title`, `question`, `context`, `answers` (the gold texts), `answer_starts` (their
    character offsets in the context) and `is_impossible`; `wanted` names none beyond these.

    Raises:
        DataError: if the file is not JSON or not of this form (named by its place in the file), has no
            question, names two alike, or has questions without answers (an official test file).
    """
    seen: set[str] = set()
    number = 0
    for title, context, question, where in _questions(path):
        number += 1
        record = {
            "id": _member(path, question, "id", str, where),
            "title": title,
            "question": _member(path, question, "question", str, where),
            "context": context,
            **_answers(path, question, where),
        }
        if record["id"] in seen:
            raise _refused(path, f"{where}: there already is a question {record['id']!r}", REFETCH)
        seen.add(record["id"])
        yield number, record
    if not number:
        raise _refused(path, "the file has no questions", REFETCH)


def _questions(path: Path) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    """Yield title, context, question and the question's place in the file."""
    articles = _member(path, read_json(path), "data", list, "the file")
    for a, article in enumerate(articles):
        place = f"data[{a}]"
        title = article.get("title", "") if isinstance(article, Mapping) else ""
        for p, paragraph in enumerate(_member(path, article, "paragraphs", list, place)):
            where = f"{place}.paragraphs[{p}]"
            context = _member(path, paragraph, "context", str, where)
            for q, question in enumerate(_member(path, paragraph, "qas", list, where)):
                yield title, context, question, f"{where}.qas[{q}]"


def _answers(path: Path, question: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "answers" not in question:
        raise _refused(path, f"{where} has no 'answers'", UNLABELLED)
    answers = _member(path, question, "answers", list, where)
    places = [f"{where}.answers[{i}]" for i in range(len(answers))]
    return {
        "answers": [_member(path, a, "text", str, at) for a, at in zip(answers, places, strict=True)],
        "answer_starts": [
            _member(path, a, "answer_start", int, at) for a, at in zip(answers, places, strict=True)
        ],
        "is_impossible": bool(question.get("is_impossible", not answers)),
    }


def _member(path: Path, holder: Any, name: str, kind: type, where: str) -> Any:
    """Return a member of an object, checked for its kind."""
    if not isinstance(holder, Mapping):
        raise _refused(path, f"{where} is {KINDS.get(type(holder), 'nothing')}, not an object", REFETCH)
    if name not in holder:
        raise _refused(path, f"{where} has no {name!r}", "give a file in SQuAD's own form")
    found = holder[name]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        there = KINDS.get(type(found), "nothing" if found is None else type(found).__name__)
        raise _refused(path, f"{where}.{name} is {there}, not {KINDS[kind]}", REFETCH)
    return found


def _refused(path: Path, what: str, remedy: str) -> DataError:
    return DataError(f"{path}: {what}; {remedy}")
