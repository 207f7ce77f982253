"""Files to predict: what rows they give, and what is said of those that give none."""

import json
from pathlib import Path

import pandas as pd
import pytest

from mase.errors import DataError
from mase.params import Params, load_params
from mase.prediction_files import Texts, read_texts


def params_of(task: str) -> Params:
    if task in ("looks", "says"):
        return load_params(task, profile="smoke")
    return load_params(task, profile="local", overrides=["data.dir=x"])


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_plain_lines_are_texts(tmp_path: Path) -> None:
    found = read_texts(write(tmp_path / "t.txt", "A dog.\r\n\nA \u2028 cat."), params_of("looks"))
    assert found == Texts(("A dog.", "", "A \u2028 cat."), None, 0)


def test_pairs_are_separated_by_tabs(tmp_path: Path) -> None:
    found = read_texts(write(tmp_path / "t.tsv", 'A "dog.\tA cat.\nSo\tNo\n'), params_of("mrpc"))
    assert found.first == ('A "dog.', "So") and found.second == ("A cat.", "No")
    assert found.row(1) == ["So", "No"] and len(found) == 2
    with pytest.raises(DataError, match=r"t\.tsv, line 2: the task takes 2 texts"):
        read_texts(write(tmp_path / "t.tsv", "a\tb\nc\n"), params_of("mrpc"))


def test_named_columns_are_the_tasks_own(tmp_path: Path) -> None:
    csv = write(tmp_path / "t.csv", 'id,sentence\n1,"A dog, small."\n2,A cat.\n')
    assert read_texts(csv, params_of("sst2")).first == ("A dog, small.", "A cat.")
    pd.DataFrame({"sentence": ["A dog."], "label": [1]}).to_parquet(tmp_path / "t.parquet")
    assert read_texts(tmp_path / "t.parquet", params_of("sst2")).first == ("A dog.",)
    lines = write(tmp_path / "t.jsonl", json.dumps({"text_a": "A dog."}) + "\n")
    assert read_texts(lines, params_of("looks")).first == ("A dog.",)
    with pytest.raises(DataError, match=r"no column 'sentence'.*'id', 'text'"):
        read_texts(write(tmp_path / "o.csv", "id,text\n1,A dog.\n"), params_of("sst2"))


def test_choices_may_be_texts_or_objects(tmp_path: Path) -> None:
    texts = ["bank", "sea", "hill", "road", "town"]
    forms = [texts, [{"label": "A", "text": text} for text in texts], {"label": list("ABCDE"), "text": texts}]
    rows = [json.dumps({"question": {"stem": "Where?", "choices": form}}) for form in forms]
    found = read_texts(write(tmp_path / "t.jsonl", "\n".join(rows)), params_of("commonsense_qa"))
    assert found.first == ("Where?",) * 3 and found.second == tuple(texts) * 3
    assert found.row(2) == ["Where?", *texts]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["a"], "2 texts, but the task takes 6"),
        ("a", "does not list choices"),
        ([{"label": "A"}] * 5, "is None, not a text"),
    ],
)
def test_wrong_choices_are_named_by_line(tmp_path: Path, choices: object, message: str) -> None:
    path = write(tmp_path / "t.jsonl", json.dumps({"question": {"stem": "Where?", "choices": choices}}))
    with pytest.raises(DataError, match=rf"t\.jsonl:1: .*{message}"):
        read_texts(path, params_of("commonsense_qa"))


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_texts(tmp_path / "none.txt", params_of("looks"))
    (tmp_path / "latin.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(DataError, match=r"latin\.txt:2: byte 0xff is not UTF-8"):
        read_texts(tmp_path / "latin.txt", params_of("looks"))
