"""VQA's official pair of files: joined by question, grouped by image, stratified by answer type."""

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mase.data import Rows, hub, prepare
from mase.data.files import read_split
from mase.data.vqa import annotations_beside
from mase.errors import DataError
from mase.params import DataParams, HubSource, Params, TaskParams, load_params, validate
from mase.params.task import FileColumns, beside

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that `datasets` imports
    import datasets

QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"
ANNOTATIONS = "v2_mscoco_train2014_annotations.json"


def question(number: int, **changes: Any) -> dict[str, Any]:
    return {"question_id": number, "image_id": number // 10, "question": f"what is {number}?", **changes}


def annotation(number: int, *answers: str, **changes: Any) -> dict[str, Any]:
    listed = [{"answer": a, "answer_confidence": "yes", "answer_id": i} for i, a in enumerate(answers, 1)]
    return {
        "question_id": number,
        "image_id": number // 10,
        "question_type": "what is",
        "answer_type": "other",
        "multiple_choice_answer": answers[0] if answers else "",
        "answers": listed,
        **changes,
    }


def write(
    folder: Path, questions: Any, annotations: Any, names: tuple[str, str] = (QUESTIONS, ANNOTATIONS)
) -> None:
    (folder / names[0]).write_text(json.dumps({"questions": questions}))
    (folder / names[1]).write_text(json.dumps({"annotations": annotations}))


def task(folder: Path, **files: Any) -> TaskParams:
    content = {
        "name": "tiny_vqa",
        "title": "Tiny",
        "family": "vqa",
        "metrics": ["vqa_accuracy"],
        "main_metric": "vqa_accuracy",
        "files": {
            "format": "vqa",
            "train": QUESTIONS,
            "columns": {"text_a": "question", "label": "answers"},
            **files,
        },
    }
    return validate(TaskParams, beside(content, folder / "tiny.yaml"), "tiny.yaml")


def read(folder: Path, **files: Any) -> Rows:
    return read_split(task(folder, **files), None, "train")[0]


def real(shared_data: Path, *overrides: str) -> Params:
    chosen = ("data.source=files", f"data.dir={shared_data}", *overrides)
    return load_params("vqa_v2", profile="smoke", overrides=chosen)


def test_questions_and_answers_are_joined_by_their_id_whatever_the_order(tmp_path: Path) -> None:
    asked = [question(11), question(21)]
    told = [
        annotation(99, "spare"),
        annotation(21, "red", "Red"),
        annotation(11, "two", answer_type="number"),
    ]
    write(tmp_path, asked, told)
    rows = read(tmp_path)
    assert rows.ids == ("11", "21")
    assert rows.texts_a == ("what is 11?", "what is 21?")
    assert rows.references == (("two",), ("red", "Red"))
    assert rows.strata == ("number", "other")
    assert rows.groups == ("1", "2")


@pytest.mark.parametrize(
    ("questions", "annotations"),
    [
        ("v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"),
        ("OpenEnded_mscoco_train2014_questions.json", "mscoco_train2014_annotations.json"),
        ("MultipleChoice_abstract_v002_val2017_questions.json", "abstract_v002_val2017_annotations.json"),
        ("mine_questions.json", "mine_annotations.json"),
    ],
)
def test_the_file_of_the_answers_follows_from_the_official_name(questions: str, annotations: str) -> None:
    assert annotations_beside(Path("a") / questions) == Path("a") / annotations


def test_the_file_of_the_answers_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, [question(11)], [annotation(11, "a")], ("asked.json", "told.json"))
    assert len(read(tmp_path, train="asked.json", train_annotations="told.json")) == 1
    with pytest.raises(DataError, match=r"does not end in _questions\.json.*files\.train_annotations"):
        read(tmp_path, train="asked.json")
    with pytest.raises(DataError, match=r"toldd\.json not found \(there is 'told\.json'\)"):
        read(tmp_path, train="asked.json", train_annotations="toldd.json")


@pytest.mark.parametrize(
    ("asked", "told", "message"),
    [
        ([question(11)], [annotation(12, "a")], "no answers to question 11 of"),
        ([question(11), question(11)], [annotation(11, "a")], "question_id 11 stands twice in questions"),
        ([question(11)], [annotation(11, "a"), annotation(11, "b")], "stands twice in annotations"),
        ([question(11)], [annotation(11, "a", image_id=7)], "about image 7, but about 1 in"),
        ([question(11)], [annotation(11)], "column 'answers' is not a list of answers"),
        ([question(11)], [annotation(11, "a", answers="yes")], "column 'answers' is not a list of answers"),
        ([question(11)], [annotation(11, "a", answers=[{"answer": 3}])], "answer 1 in column 'answers' is 3"),
        (
            [question(11)],
            [annotation(11, "a", answer_type="colour")],
            "'colour' is none of yes/no, number, other",
        ),
        ([question(11, question=" ")], [annotation(11, "a")], "column 'question' is empty"),
        (
            [question(11, image_id=None)],
            [annotation(11, "a", image_id=None)],
            "'image_id' is None, not a number",
        ),
        ([{"question": "?"}], [annotation(11, "a")], "questions number 1 has no question_id"),
        ([], [annotation(11, "a")], "no list 'questions' with anything in it"),
        ({"11": "?"}, [annotation(11, "a")], "no list 'questions' with anything in it"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, asked: Any, told: Any, message: str) -> None:
    write(tmp_path, asked, told)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert ";" in str(caught.value)


def test_a_missing_or_cut_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    write(tmp_path, [question(11)], [annotation(11, "a")])
    whole = (tmp_path / ANNOTATIONS).read_text()
    (tmp_path / ANNOTATIONS).write_text(whole[:-30])
    with pytest.raises(
        DataError,
        match=rf"{ANNOTATIONS}:1: not JSON.*cut short or is not one JSON value; fetch the file again",
    ):
        read(tmp_path)
    (tmp_path / ANNOTATIONS).unlink()
    with pytest.raises(
        DataError, match=rf"{ANNOTATIONS} not found: the answers to the questions of {QUESTIONS}"
    ):
        read(tmp_path)


def test_the_shared_files_are_read_whole(shared_data: Path) -> None:
    rows, _ = read_split(real(shared_data).task, str(shared_data), "train")
    assert len(rows) == 5513
    assert set(map(len, rows.references or ())) == {10}
    assert Counter(rows.strata or ()).keys() == {"yes/no", "number", "other"}
    at = rows.ids.index("167330014")
    assert rows.texts_a[at] == "How does the weather appear in this photo?"
    assert (rows.references or ())[at][:3] == ("clear", "sunny", "sunny")
    assert (rows.groups or ())[at] == "167330"


def test_no_image_is_in_two_parts_and_answer_types_keep_their_shares(shared_data: Path) -> None:
    data = prepare(
        real(shared_data).task, DataParams(source="files", dir=str(shared_data), max_train_rows=900)
    )
    parts = [data.train, data.slice, data.evaluation]
    images = [set(part.groups or ()) for part in parts]
    assert not images[0] & images[1] and not images[0] & images[2] and not images[1] & images[2]
    for part in parts:
        shares = Counter(part.strata or ())
        assert all(0.3 < count / len(part) < 0.37 for count in shares.values())


def test_the_order_of_the_files_does_not_change_the_split(tmp_path: Path) -> None:
    same = {"question": "what is it?"}
    asked = [question(n, image_id=n, **same) for n in range(10, 410)]
    told = [annotation(n, "yes", image_id=n, answer_type=("yes/no", "other")[n % 2]) for n in range(10, 410)]
    settings = DataParams(source="files", max_train_rows=60, evaluate_on="internal_test")
    found = []
    for step in (1, -1):
        write(tmp_path, asked[::step], told)
        found.append(prepare(task(tmp_path), settings))
    assert set(found[0].train.ids) == set(found[1].train.ids)
    assert set(found[0].slice.ids) == set(found[1].slice.ids)


def test_the_layout_of_the_hub_gives_the_same_rows(tmp_path: Path) -> None:
    asked, told = [question(11), question(21)], [annotation(11, "two", "2"), annotation(21, "red")]
    write(tmp_path, asked, told)
    source = HubSource(
        path="someone/vqa", revision="main", columns=FileColumns(text_a="question", label="answers")
    )
    table = datasets.Dataset.from_list([{**t, **a} for a, t in zip(asked, told, strict=True)])
    rows, official = hub.from_dataset(table, task(tmp_path), source), read(tmp_path)
    assert rows == official
    with pytest.raises(DataError, match="no column 'image_id'"):
        hub.from_dataset(table.remove_columns("image_id"), task(tmp_path), source)


def test_the_same_records_in_one_file_of_the_users_own_are_the_same_rows(tmp_path: Path) -> None:
    asked, told = [question(11), question(21)], [annotation(11, "two", "2"), annotation(21, "red")]
    write(tmp_path, asked, told)
    official, records = read(tmp_path), [{**t, **a} for a, t in zip(asked, told, strict=True)]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, records)))
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "own.parquet")
    for name in ("own.jsonl", "own.parquet"):
        assert read(tmp_path, train=name, format=None) == official
