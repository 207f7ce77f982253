"""VQA: a question about an image, ten human answers, and the official pair of JSON files.

The questions (`v2_OpenEnded_mscoco_train2014_questions.json`) and their answers
(`v2_mscoco_train2014_annotations.json`) come in two files, joined here by `question_id`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mase.data.decoding import REFETCH
from mase.data.records import UNLABELLED, Example, Fields, Record, RowError, answer, checked_text, text, value
from mase.data.structured import read_json
from mase.errors import DataError
from mase.params import FileColumns, TaskParams

ANSWER_TYPES = ("yes/no", "number", "other")
BESIDE = ("answer_type", "image_id", "question_id")
"""Fields that an example needs beside the columns that the task names."""

_QUESTIONS = re.compile(r"^(v2_)?(?:OpenEnded_|MultipleChoice_)?(\w+?)_questions\.json$")


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example: question, human answers, answer type, image.

    Its label is 0: which class an answer is, only the training answers say (`Family.vocabulary`).

    Raises:
        RowError: if the question, the answers, the answer type, the image or the id is missing.
    """
    question = text(fields, columns.text_a, keep_empty=keep_empty)
    kind = value(fields, "answer_type")
    if kind not in ANSWER_TYPES:
        raise RowError(f"answer_type {kind!r} is none of {', '.join(ANSWER_TYPES)}", "correct the record")
    return Example(
        (question,),
        None,
        0,
        references=_answers(columns.label, answer(fields, columns.label)),
        group=_name(fields, "image_id"),
        stratum=kind,
        id=_name(fields, "question_id"),
    )


def _answers(column: str, listed: Any) -> tuple[str, ...]:
    """Return the human answers: a list of texts, or of objects with `answer` (the official form)."""
    if listed is None:
        raise RowError(f"no answers in column {column!r}", UNLABELLED)
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise RowError(f"column {column!r} is not a list of answers", "correct the record")
    texts = [each.get("answer") if isinstance(each, Mapping) else each for each in listed]
    where = f"answer {{}} in column {column!r}"
    return tuple(
        checked_text(found, where.format(number), keep_empty=True)
        for number, found in enumerate(texts, start=1)
    )


def _name(fields: Fields, column: str) -> str:
    found = value(fields, column)
    if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
        raise RowError(f"column {column!r} is {found!r}, not a number or a name", "correct the record")
    return str(found)


def annotations_beside(questions: Path) -> Path:
    """Return where the answers to a file of questions are, by the official naming.

    >>> annotations_beside(Path("v2_OpenEnded_mscoco_val2014_questions.json")).name
    'v2_mscoco_val2014_annotations.json'

    Raises:
        DataError: if the name is not one that ends in `_questions.json`.
    """
    found = _QUESTIONS.match(questions.name)
    if found is None:
        raise DataError(
            f"{questions}: the name does not end in _questions.json, so where its answers are is not known; "
            "name the file in the task's YAML (files.train_annotations, files.dev_annotations)"
        )
    return questions.with_name(f"{found[1] or ''}{found[2]}_annotations.json")


def read_vqa(path: Path, wanted: Sequence[str], annotations: Path | None = None) -> Iterator[Record]:
    """Yield the questions of a file with their answers, numbered from 1 in the file's order.

    Answers to other questions are left aside, so that a part of the questions is a data set too.

    Args:
        wanted: unused; a record has every field of a question and of its annotation.
        annotations: the file of the answers; None: see `annotations_beside`.

    Raises:
        DataError: if a file is missing or malformed, an id stands twice, a question has no answers, or
            question and answers are about different images.
    """
    beside = annotations_beside(path) if annotations is None else annotations
    if not beside.is_file():
        raise DataError(
            f"{beside} not found: the answers to the questions of {path.name}; put it there, or name "
            "it in the task's YAML (files.train_annotations, files.dev_annotations)"
        )
    questions, answers = _listed(path, "questions"), _listed(beside, "annotations")
    for number, (name, question) in enumerate(questions.items(), start=1):
        told = answers.get(name)
        if told is None:
            raise DataError(
                f"{beside}: no answers to question {name} of {path.name}; take the two files of one split "
                "(the answers of the test splits are not published)"
            )
        if told.get("image_id") != question.get("image_id"):
            raise DataError(
                f"{beside}: question {name} is about image {told.get('image_id')}, but about "
                f"{question.get('image_id')} in {path.name}; take the two files of one split"
            )
        yield number, {**told, **question}


def _listed(path: Path, key: str) -> dict[Any, dict[str, Any]]:
    """Return the objects that a file lists under `key`, by question id, in order.

    Raises:
        DataError: if the file is not of that form, or an id is missing or stands twice.
    """
    content = read_json(path)
    listed = content.get(key) if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        there = ", ".join(map(repr, content)) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path}: no list {key!r} with anything in it (there is {there}); give the official file, with "
            f"{key} under that name"
        )
    found: dict[Any, dict[str, Any]] = {}
    for number, each in enumerate(listed, start=1):
        name = each.get("question_id") if isinstance(each, dict) else None
        if not isinstance(name, int | str):
            raise DataError(f"{path}: {key} number {number} has no question_id; correct it or {REFETCH}")
        if name in found:
            raise DataError(f"{path}: question_id {name} stands twice in {key}; delete one of them")
        found[name] = each
    return found
