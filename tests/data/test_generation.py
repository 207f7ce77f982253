"""CommonGen's files, files of one's own and the hub's layout as rows of generation."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from mase.data import Rows, prepare
from mase.data.commongen import plain
from mase.data.files import read_file
from mase.data.generation import merged, one_sentence_each
from mase.data.hub import from_dataset
from mase.errors import DataError
from mase.params import DataParams, FileColumns, HubSource, TaskParams, load_params

COLUMNS = FileColumns(text_a="concepts", label="target")


def task() -> TaskParams:
    return load_params("commongen", profile="smoke", overrides=("data.source=files", "data.dir=unread")).task


def commongen(folder: Path, concepts: str, targets: str | None) -> Path:
    source = folder / "x.src_alpha.txt"
    source.write_text(concepts)
    if targets is not None:
        (folder / "x.tgt.txt").write_text(targets)
    return source


def rows_of(path: Path, **options: Any) -> Rows:
    return read_file(path, task(), COLUMNS, **{"file_format": "commongen", **options})


def test_the_real_files_give_concepts_and_sentences(shared_data: Path) -> None:
    train = rows_of(shared_data / "commongen" / "commongen.train.src_alpha.txt")
    dev = rows_of(shared_data / "commongen" / "commongen.dev.jsonl")
    assert (len(train), len(dev)) == (39069, 497)
    assert train.texts_a[0] == "chicken cheese pizza broccoli"
    assert train.references is not None and dev.references is not None
    assert train.references[0] == ("A grilled pizza with chicken, broccoli and cheese.",)
    assert (dev.ids[0], dev.texts_a[0]) == ("row-1", "field look stand")
    assert dev.references[0][0] == "The player stood in the field looking at the batter."
    assert len(dev.references[0]) == 4
    assert not train.labels.any() and train.labels.dtype == np.int64


@pytest.mark.parametrize("evaluate_on", ["dev", "internal_test", "tune"])
def test_a_concept_set_is_in_one_split_only(shared_data: Path, evaluate_on: Any) -> None:
    data = DataParams(source="files", dir=str(shared_data), evaluate_on=evaluate_on, max_train_rows=6000)
    found = prepare(task(), data)
    train, information, evaluation = (
        {frozenset(text.split()) for text in rows.texts_a}
        for rows in (found.train, found.slice, found.evaluation)
    )
    assert not train & information and not train & evaluation and not information & evaluation
    assert found.train.references is not None and found.evaluation.references is not None
    assert all(len(group) == 1 for group in found.train.references)
    assert max(map(len, found.evaluation.references)) > 1
    assert found.evaluation.groups is not None
    assert len(set(found.evaluation.groups)) == len(found.evaluation)


def test_parts_of_speech_are_dropped_and_nothing_else() -> None:
    assert [plain(c) for c in ("stand_V", "hot_dog_N", "hot_dog", "U_S", "_N", "x")] == [
        "stand",
        "hot_dog",
        "hot_dog",
        "U",
        "_N",
        "x",
    ]


def test_rows_are_merged_by_concepts_in_any_order_and_taken_apart_again(tmp_path: Path) -> None:
    path = commongen(tmp_path, "dog run\nsea town\nrun dog\ndog run\n", "a\nb\nc\na\n")
    rows = rows_of(path)
    whole = merged(rows)
    assert (whole.texts_a, whole.references) == (("dog run", "sea town"), (("a", "c"), ("b",)))
    assert whole.ids == ("row-1", "row-2")
    apart = one_sentence_each(whole)
    assert (apart.ids, apart.references) == (("row-1.1", "row-1.2", "row-2"), (("a",), ("c",), ("b",)))
    assert apart.texts_a == ("dog run", "dog run", "sea town")
    assert one_sentence_each(rows) is rows


@pytest.mark.parametrize(
    ("concepts", "targets", "said"),
    [
        ("a b\n", None, "x.tgt.txt, are not beside it"),
        ("a b\nc d\n", "one\n", "2 lines, but x.tgt.txt has 1"),
        ("", "", "the file is empty"),
        ("a b\n\n", "one\ntwo\n", "x.src_alpha.txt:2: column 'concepts' lists no word"),
        ("a b\nc d\n", "one\n \n", "x.src_alpha.txt:2: no sentence in column 'target'"),
    ],
)
def test_broken_training_files_say_where(
    tmp_path: Path, concepts: str, targets: str | None, said: str
) -> None:
    with pytest.raises(DataError, match=said.replace("(", "\\(")):
        rows_of(commongen(tmp_path, concepts, targets))


def test_a_file_that_is_not_commongens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("a b\n")
    with pytest.raises(DataError, match="'src_alpha' in its name"):
        rows_of(path)
    lines = tmp_path / "own.jsonl"
    lines.write_text('{"concepts": "a b"}\n')
    with pytest.raises(DataError, match=r"own.jsonl:1: no concept_set; there is 'concepts'"):
        rows_of(lines)


def test_a_test_file_without_sentences_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps({"concept_set": "dog_N#run_V"}) + "\n")
    with pytest.raises(DataError, match="an official test file"):
        rows_of(path)


def test_files_of_ones_own_hold_texts_or_lists(tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    table.write_text('concepts,target\n"a dog, a ball","The dog has a ball."\nrain,It rains.\n')
    rows = rows_of(table, file_format="csv")
    assert rows.texts_a == ("a dog, a ball", "rain")
    assert rows.references == (("The dog has a ball.",), ("It rains.",))
    lines = tmp_path / "own.jsonl"
    lines.write_text(
        '{"concepts": ["ball", "Dog"], "target": ["One.", "", "Two."]}\n{"concepts": "Dog", "target": "x"}\n'
    )
    rows = rows_of(lines, file_format="jsonl")
    assert rows.texts_a == ("ball Dog", "Dog")
    assert rows.references == (("One.", "Two."), ("x",))
    assert rows.groups == ("ball#dog", "dog")


def test_a_target_that_is_no_text_is_refused(tmp_path: Path) -> None:
    lines = tmp_path / "own.jsonl"
    lines.write_text('{"concepts": "a", "target": ["x", 3]}\n')
    with pytest.raises(DataError, match=r"own.jsonl:1: a sentence of column 'target' is 3, not a text"):
        rows_of(lines, file_format="jsonl")


def test_the_hubs_layout_gives_the_same_rows() -> None:
    dataset = datasets.Dataset.from_dict(
        {
            "concept_set_idx": [0, 0, 1],
            "concepts": [["ski", "mountain"], ["ski", "mountain"], ["dog", "run"]],
            "target": ["Skier skis down the mountain", "A skier", "A dog runs."],
        }
    )
    source = HubSource(path="common_gen", revision="0" * 40, columns=COLUMNS)
    rows = merged(from_dataset(dataset, task(), source))
    assert rows.texts_a == ("ski mountain", "dog run")
    assert rows.references == (("Skier skis down the mountain", "A skier"), ("A dog runs.",))
