"""SQuAD's official JSON and its copy on the hub: records, offsets, splits by paragraph, one clear error."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mase.data import prepare
from mase.data.files import read_file
from mase.data.hub import from_dataset
from mase.data.records import RowError
from mase.data.span import parse
from mase.data.squad import read_squad
from mase.errors import DataError
from mase.params import DataParams, FileColumns, HubSource, TaskParams, load_params

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that `datasets` imports
    import datasets

COLUMNS = FileColumns(text_a="question", text_b="context", label="answers")
TASK = TaskParams.model_validate(
    {
        "name": "t",
        "title": "T",
        "family": "span",
        "metrics": ["f1"],
        "main_metric": "f1",
        "embedded": "unread",
    }
)
CONTEXT = "  The cat sat. A dog, the cat saw. "


def question(name: str = "q1", **fields: Any) -> dict[str, Any]:
    return {"id": name, "question": " Who sat? ", "answers": [{"text": "cat", "answer_start": 6}]} | fields


def written(folder: Path, *questions: dict[str, Any], **outside: Any) -> Path:
    path = folder / "train.json"
    content = {
        "data": [{"title": "A", "paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}]
    } | outside
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def record(**fields: Any) -> dict[str, Any]:
    return {
        "id": "q",
        "question": "Who?",
        "context": CONTEXT,
        "answers": ["cat"],
        "answer_starts": [6],
    } | fields


def test_a_record_holds_the_question_its_context_and_the_answers(tmp_path: Path) -> None:
    impossible = question("q2", answers=[], is_impossible=True, plausible_answers=[{"text": "dog"}])
    found = list(read_squad(written(tmp_path, question(), impossible), []))
    assert [number for number, _ in found] == [1, 2]
    assert found[0][1] == {
        "id": "q1",
        "title": "A",
        "question": " Who sat? ",
        "context": CONTEXT,
        "answers": ["cat"],
        "answer_starts": [6],
        "is_impossible": False,
    }
    assert (found[1][1]["answers"], found[1][1]["is_impossible"]) == ([], True)


def test_rows_of_a_file_have_offsets_in_the_stripped_context(tmp_path: Path) -> None:
    several = question(
        "q2", answers=[{"text": "cat saw", "answer_start": 26}, {"text": "dog", "answer_start": 17}]
    )
    none = question("q3", answers=[])
    rows = read_file(written(tmp_path, question(), several, none), TASK, COLUMNS, file_format="squad")
    assert rows.ids == ("q1", "q2", "q3")
    assert rows.texts_a == ("Who sat?",) * 3
    assert rows.texts_b is not None and rows.groups == rows.texts_b == (CONTEXT.strip(),) * 3
    assert rows.labels.dtype == np.int64
    assert rows.labels.tolist() == [[4, 7], [24, 31], [-1, -1]]
    assert rows.texts_b[1][24:31] == "cat saw"
    assert rows.references == (("cat",), ("cat saw", "dog"), ())
    assert rows.strata == ("answerable", "answerable", "unanswerable")


def test_the_hubs_layout_gives_the_same_example() -> None:
    hub = record(answers={"text": ["cat"], "answer_start": [6]})
    del hub["answer_starts"]
    assert parse(TASK, COLUMNS, hub, keep_empty=False) == parse(TASK, COLUMNS, record(), keep_empty=False)
    empty = record(answers={"text": [], "answer_start": []})
    assert parse(TASK, COLUMNS, empty, keep_empty=False).label == (-1, -1)


def test_the_hubs_data_set_keeps_the_questions_ids() -> None:
    rows = {
        "id": ["one", "two"],
        "title": ["A", "A"],
        "question": ["Who?", "What?"],
        "context": [CONTEXT, CONTEXT],
        "answers": [{"text": ["cat"], "answer_start": [6]}, {"text": [], "answer_start": []}],
    }
    source = HubSource(path="squad", revision="0" * 40, columns=COLUMNS)
    found = from_dataset(datasets.Dataset.from_dict(rows), TASK, source)
    assert (found.ids, found.labels.tolist()) == (("one", "two"), [[4, 7], [-1, -1]])
    del rows["id"]
    assert from_dataset(datasets.Dataset.from_dict(rows), TASK, source).ids == ("row-0", "row-1")


def test_white_space_around_an_answer_is_no_part_of_the_label() -> None:
    found = parse(TASK, COLUMNS, record(answers=[" cat "], answer_starts=[5]), keep_empty=False)
    assert (found.label, found.references) == ((4, 7), (" cat ",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answer_starts": [5]}, "question q: the answer 'cat' is not at character 5"),
        ({"answer_starts": [-30]}, "the answer 'cat' is not at character -30"),
        ({"answer_starts": []}, "holds no answers with their offsets"),
        ({"answer_starts": ["6"]}, "holds no answers with their offsets"),
        ({"answers": None}, "holds no answers with their offsets"),
        ({"answers": {"text": ["cat"]}}, "holds no answers with their offsets"),
        ({"is_impossible": True}, "question q: is_impossible, but it has answers"),
        ({"answers": [], "answer_starts": [], "is_impossible": False}, "no answers, but not is_impossible"),
        ({"question": " "}, "question q: column 'question' is empty"),
        ({"context": ""}, "question q: column 'context' is empty"),
    ],
)
def test_a_record_that_cannot_be_asked_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RowError, match=message):
        parse(TASK, COLUMNS, record(**fields), keep_empty=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": []}, "the file has no questions"),
        ({"data": {}}, "the file.data is an object, not a list"),
        ({"data": [3]}, r"data\[0\] is a number, not an object"),
        ({"data": [{"title": "A"}]}, r"data\[0\] has no 'paragraphs'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r"data\[0\].paragraphs\[0\] has no 'context'"),
        ({"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "q"}]}]}]}, r"qas\[0\] has no 'question'"),
    ],
)
def test_a_file_of_another_form_says_where(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path, question(), **change)
    with pytest.raises(DataError, match=message) as caught:
        list(read_squad(path, []))
    assert str(path) in str(caught.value) and ";" in str(caught.value)


def test_repeated_ids_missing_answers_and_wrong_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there already is a question 'q1'"):
        list(read_squad(written(tmp_path, question(), question()), []))
    unanswered = question("q2")
    del unanswered["answers"]
    with pytest.raises(DataError, match=r"qas\[1\] has no 'answers'; rows without labels"):
        list(read_squad(written(tmp_path, question(), unanswered), []))
    wrong = question(answers=[{"text": "cat", "answer_start": "6"}])
    with pytest.raises(DataError, match=r"answers\[0\].answer_start is a text, not a number"):
        list(read_squad(written(tmp_path, wrong), []))


def test_json_that_ends_early_or_is_another_format_is_one_error(tmp_path: Path) -> None:
    path = written(tmp_path, question())
    path.write_text(path.read_text()[:-5])
    with pytest.raises(DataError, match=r"train.json:1: not JSON: .*; the file is cut short"):
        list(read_squad(path, []))
    path.write_text('{"question": "a"}\n{"question": "b"}\n')
    with pytest.raises(DataError, match=r"train.json:2: not JSON: Extra data"):
        list(read_squad(path, []))


def test_a_wrong_offset_in_a_file_names_the_question(tmp_path: Path) -> None:
    path = written(tmp_path, question(answers=[{"text": "cat", "answer_start": 7}]))
    with pytest.raises(DataError, match="question q1: the answer 'cat' is not at character 7"):
        read_file(path, TASK, COLUMNS, file_format="squad")


def test_the_shared_files_are_read_whole(shared_data: Path) -> None:
    task = load_params("squad_v2", profile="local", overrides=(f"data.dir={shared_data}",)).task
    for name, questions, unanswerable in (("train", 3794, 1919), ("dev", 962, 516)):
        rows = read_file(shared_data / "squad_v2" / f"{name}-v2.0.json", task, COLUMNS, file_format="squad")
        assert len(rows) == questions
        assert (rows.labels[:, 0] < 0).sum() == unanswerable == list(rows.strata or ()).count("unanswerable")
        for context, (start, end), gold in zip(
            rows.texts_b or (), rows.labels.tolist(), rows.references or (), strict=True
        ):
            assert (context[start:end] in gold) if gold else (start, end) == (-1, -1)


def test_a_paragraph_never_falls_into_two_splits(shared_data: Path) -> None:
    task = load_params("squad_v2", profile="local", overrides=(f"data.dir={shared_data}",)).task
    data = DataParams(source="files", dir=str(shared_data), evaluate_on="internal_test")
    parts = prepare(task, data)
    contexts = [set(rows.texts_b or ()) for rows in (parts.train, parts.slice, parts.evaluation)]
    assert all(contexts) and not (
        contexts[0] & contexts[1] or contexts[0] & contexts[2] or contexts[1] & contexts[2]
    )
    for rows in (parts.train, parts.evaluation):
        assert 0.4 < list(rows.strata or ()).count("unanswerable") / len(rows) < 0.6
