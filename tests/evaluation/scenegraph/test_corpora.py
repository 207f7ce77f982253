"""Texts of the formats of the data sets that coverage is reported on."""

import json
from pathlib import Path

import pytest

from mase.errors import DataError
from mase.evaluation.scenegraph import texts_in
from mase.scenegraph.coverage import evenly_spaced

QUESTION = {"answerKey": "A", "question": {"stem": "Where is a door?", "choices": [{"text": "bank"}]}}
SCENE = {"concept_set": "dog_N#run_V", "scene": ["A dog runs.", "Dogs run."], "reason": ["They like it."]}
VQA = {"info": {}, "questions": [{"image_id": 1, "question": "Is it red?"}, {"question": "Is it red?"}]}


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("commonsense.jsonl", json.dumps(QUESTION), ["Where is a door?"]),
        ("commongen.jsonl", json.dumps(SCENE) + "\n" + json.dumps(SCENE), ["A dog runs.", "Dogs run."]),
        ("vqa.json", json.dumps(VQA), ["Is it red?"]),
        ("commongen.tgt.txt", "b\u2028c\r\n\n a \nb\u2028c\n", ["b\u2028c", "a"]),
    ],
)
def test_formats(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert texts_in(path) == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", json.dumps(SCENE) + "\n{", "a.jsonl, line 2"),
        ("a.jsonl", '{"question": "Why?"}', "a.jsonl, line 1"),
        ("a.jsonl", '{"scene": [1]}', "int where a text"),
        ("a.jsonl", "3", "a.jsonl, line 1"),
        ("a.json", "[]", "no VQA questions"),
        ("a.json", '{"questions": []}', "no text"),
        ("a.txt", "\n \n", "no text"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        texts_in(path)


def test_the_real_files_are_read(shared_data: Path) -> None:
    counts = {
        name: len(texts_in(shared_data / name))
        for name in (
            "commonsense_qa/dev_rand_split.jsonl",
            "commongen/commongen.dev.jsonl",
            "commongen/commongen.train.tgt.txt",
            "vqa_v2/v2_OpenEnded_mscoco_val2014_questions.json",
        )
    }
    assert min(counts.values()) > 600


def test_a_sample_is_evenly_spaced() -> None:
    texts = [str(i) for i in range(10)]
    assert evenly_spaced(texts, 4) == ["0", "2", "5", "7"]
    assert evenly_spaced(texts, 10) == evenly_spaced(texts, None) == texts
