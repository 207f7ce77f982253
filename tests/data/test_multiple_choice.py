"""Multiple choice: every way of listing choices gives the same rows; CommonsenseQA as published."""

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mase.data import Rows, hub, prepare
from mase.data.files import read_split
from mase.data.splits import sample, separate
from mase.errors import DataError, ParamsError
from mase.params import DataParams, TaskParams, read_named, validate
from mase.params.task import beside

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that `datasets` imports
    import datasets

QUESTION = {"ask": "where", "choices": ["here", "there", "nowhere"], "right": "B"}
OFFICIAL = {"text_a": "question.stem", "choices": "question.choices", "label": "answerKey"}


def quiz(folder: Path, train: str, columns: dict[str, Any] | None = None, /, **changes: Any) -> TaskParams:
    content = {
        "name": "quiz",
        "title": "Quiz",
        "family": "multiple_choice",
        "options": 3,
        "labels": ["A", "B", "C"],
        "metrics": ["accuracy"],
        "main_metric": "accuracy",
        "files": {
            "train": train,
            "columns": columns or {"text_a": "ask", "choices": "choices", "label": "right"},
        },
        **changes,
    }
    return validate(TaskParams, beside(content, folder / "quiz.yaml"), "quiz.yaml")


def read_line(folder: Path, record: dict[str, Any], columns: dict[str, Any] | None = None) -> Rows:
    (folder / "a.jsonl").write_text(json.dumps(QUESTION) + "\n" + json.dumps(record) + "\n")
    if columns is not None:
        (folder / "a.jsonl").write_text("\n" + json.dumps(record) + "\n")
    return read_split(quiz(folder, "a.jsonl", columns), None, "train")[0]


def check(rows: Rows) -> None:
    assert rows.options == 3
    assert rows.texts_a[-3:] == ("where",) * 3
    assert rows.texts_b is not None
    assert rows.texts_b[-3:] == ("here", "there", "nowhere")
    assert rows.labels.dtype == np.int64
    assert rows.labels[-1] == 1
    assert rows.ids[-1] == "train-2"


def test_a_list_of_texts_in_a_column(tmp_path: Path) -> None:
    check(read_line(tmp_path, QUESTION))


def test_objects_with_label_and_text_as_the_official_files_have_them(tmp_path: Path) -> None:
    choices = [{"label": name, "text": text} for name, text in zip("CAB", QUESTION["choices"], strict=True)]
    record = {"question": {"stem": "where", "choices": choices}, "answerKey": "A"}
    check(read_line(tmp_path, record, OFFICIAL))


def test_lists_of_labels_and_texts_as_the_hub_has_them(tmp_path: Path) -> None:
    record = {**QUESTION, "choices": {"label": ["1", "2", "3"], "text": QUESTION["choices"]}, "right": 2}
    check(read_line(tmp_path, record))


def test_a_column_for_each_choice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("right,ask,x,y,z\nB,where,here,there,nowhere\n")
    columns = {"text_a": "ask", "choices": ["x", "y", "z"], "label": "right"}
    check(read_split(quiz(tmp_path, "a.csv", columns), None, "train")[0])


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "too few": (
        {"choices": ["a", "b"]},
        "2 choices, but the task has options: 3",
        "every question needs as many",
    ),
    "too many": ({"choices": list("abcd")}, "4 choices, but the task has options: 3", "delete it"),
    "unknown answer": ({"right": "D"}, "unknown label 'D'; the labels are A, B, C", "correct column 'right'"),
    "no answer": ({"right": ""}, "no answer in column 'right'", "neither trained on nor scored"),
    "null answer": ({"right": None}, "no label in column 'right'", "neither trained on nor scored"),
    "empty choice": ({"choices": ["a", " ", "c"]}, "choice 2 in column 'choices' is empty", "fill it in"),
    "number": (
        {"choices": ["a", "b", 3]},
        "choice 3 in column 'choices' is 3, not a text",
        "correct the row",
    ),
    "one text": (
        {"choices": "a, b, c"},
        "column 'choices' is not a list of choices",
        "one column for each choice",
    ),
    "no texts": (
        {"choices": [{"label": "A"}] * 3},
        "column 'choices' is not a list of choices",
        "label and text",
    ),
    "uneven": (
        {"choices": {"label": ["A"], "text": list("abc")}},
        "column 'choices' is not a list",
        "label and",
    ),
    "same label": (
        {"choices": [{"label": "A", "text": t} for t in "abc"]},
        "the choices in 'choices' do not have a label each, or share one",
        "delete the line",
    ),
    "empty question": ({"ask": ""}, "column 'ask' is empty", "fill it in"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_question_is_one_error_with_line_and_remedy(tmp_path: Path, name: str) -> None:
    changes, what, remedy = BROKEN[name]
    with pytest.raises(DataError) as caught:
        read_line(tmp_path, {**QUESTION, **changes})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.jsonl'}:2: {what}")
    assert remedy in message.partition("; ")[2]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"options": 1}, "needs options, the number of choices, 2 or more"),
        ({"options": 27}, "options: Input should be less than or equal to 26"),
        ({"options": 4}, "needs 4 labels, .* there are 3"),
        ({"family": "classification"}, "options is for multiple_choice tasks; this one is classification"),
        (
            {"family": "classification", "options": 1},
            "a classification task has no use for files.columns.choices",
        ),
        (
            {"files": {"train": "a.csv", "columns": {"text_a": "q", "label": "l"}}},
            "needs files.columns.choices",
        ),
        (
            {"files": {"train": "a.csv", "columns": {"text_a": "q", "choices": ["x", "y"], "label": "l"}}},
            "files.columns.choices names 2 columns, but options is 3",
        ),
        (
            {
                "files": {
                    "train": "a.csv",
                    "columns": {"text_a": "q", "choices": ["x", "x", "y"], "label": "l"},
                }
            },
            "choices names a column twice",
        ),
        (
            {
                "files": {
                    "train": "a.csv",
                    "columns": {"text_a": "q", "text_b": "t", "choices": "x", "label": "l"},
                }
            },
            "not both",
        ),
    ],
)
def test_params_that_contradict_each_other_are_refused(
    tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(ParamsError, match=what):
        quiz(tmp_path, "a.jsonl", **changes)


def test_columns_say_whether_a_text_comes_with_a_second_one(tmp_path: Path) -> None:
    assert commonsense().files is not None
    columns = commonsense().files.columns  # type: ignore[union-attr]
    assert columns.pairs
    assert not columns.model_copy(update={"choices": ()}).pairs
    assert columns.model_copy(update={"choices": (), "text_b": "other"}).pairs


def many(count: int = 120) -> Rows:
    return Rows(
        ids=tuple(f"row-{i}" for i in range(count)),
        texts_a=tuple(f"question {i // 2}" for i in range(count) for _ in range(3)),
        texts_b=tuple(f"choice {i} {k}" for i in range(count) for k in range(3)),
        labels=np.arange(count) // 2 % 3,
        options=3,
    )


def test_a_question_is_never_on_both_sides_and_positions_stay_in_proportion() -> None:
    rows = many()
    taken, left = separate(rows, 30, np.random.default_rng(0))
    first, second = rows.take(taken), rows.take(left)
    assert len(first) == 30
    assert Counter(first.labels.tolist()) == {0: 10, 1: 10, 2: 10}
    assert not set(first.texts_a) & set(second.texts_a)
    again = sample(rows, 12, np.random.default_rng(0))
    assert len(again) == 12
    assert again.texts_b is not None
    for name, choice in zip(again.ids, again.texts_b[::3], strict=True):
        assert choice == f"choice {name.removeprefix('row-')} 0"


def commonsense() -> TaskParams:
    return validate(TaskParams, read_named("tasks", "commonsense_qa"), "commonsense_qa")


def test_the_official_files_are_read_whole(shared_data: Path) -> None:
    rows, path = read_split(commonsense(), str(shared_data), "train")
    assert path == shared_data / "commonsense_qa" / "train_rand_split.jsonl"
    assert len(rows) == 9741
    assert Counter(rows.labels.tolist()) == {0: 1909, 1: 1973, 2: 1946, 3: 1985, 4: 1928}
    assert rows.texts_b is not None
    assert rows.texts_b[:5] == ("ignore", "enforce", "authoritarian", "yell at", "avoid")
    assert set(rows.texts_a[:5]) == {rows.texts_a[0]}
    assert rows.labels[0] == 0
    dev, _ = read_split(commonsense(), str(shared_data), "dev")
    assert len(dev) == 611
    assert (dev.texts_b or ())[5 * 1 + dev.labels[1]] == "bookstore"


def test_the_official_task_is_prepared_end_to_end(shared_data: Path) -> None:
    data = DataParams(source="files", dir=str(shared_data), max_train_rows=500, max_eval_rows=100)
    prepared = prepare(commonsense(), data)
    assert (len(prepared.train), len(prepared.slice), len(prepared.evaluation)) == (400, 100, 100)
    for part in (prepared.train, prepared.slice, prepared.evaluation):
        assert part.options == 5
        assert len(part.texts_a) == len(part.texts_b or ()) == 5 * len(part)
        assert np.bincount(part.labels, minlength=5) / len(part) == pytest.approx([0.2] * 5, abs=0.03)
    assert not set(prepared.train.texts_a) & set(prepared.slice.texts_a)


def test_the_official_test_file_says_that_it_has_no_answers(tmp_path: Path, shared_data: Path) -> None:
    lines = (shared_data / "commonsense_qa" / "dev_rand_split.jsonl").read_text().splitlines()
    folder = tmp_path / "commonsense_qa"
    folder.mkdir()
    for change in ("missing", "empty"):
        record = json.loads(lines[0]) | {"answerKey": ""}
        if change == "missing":
            del record["answerKey"]
        (folder / "dev_rand_split.jsonl").write_text(json.dumps(record) + "\n")
        with pytest.raises(
            DataError, match=r"split\.jsonl:1: no .*'answerKey'.*can be neither trained on nor"
        ):
            read_split(commonsense(), str(tmp_path), "dev")


def test_the_hub_copy_gives_the_same_questions() -> None:
    task = commonsense()
    assert task.hub is not None
    assert len(task.hub.revision) == 40
    choices = {"label": list("ABCDE"), "text": ["ignore", "enforce", "avoid", "yell at", "agree"]}
    records = {
        "id": ["x", "y"],
        "question": ["why", "how"],
        "choices": [choices] * 2,
        "answerKey": ["D", "A"],
    }
    rows = hub.from_dataset(datasets.Dataset.from_dict(records), task, task.hub)
    assert rows.labels.tolist() == [3, 0]
    assert rows.texts_a == ("why",) * 5 + ("how",) * 5
    assert rows.texts_b == tuple(choices["text"]) * 2
    assert rows.ids == ("row-0", "row-1")
    hidden = datasets.Dataset.from_dict({**records, "answerKey": ["", ""]})
    with pytest.raises(DataError, match="tau/commonsense_qa: row 0: no answer in column 'answerKey'"):
        hub.from_dataset(hidden, task, task.hub)
