"""Low resource: which rows a fraction keeps, and that nobody else's rows have changed."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mase.data import Rows, TaskData, prepare
from mase.params import DataParams, TaskParams, read_named, validate
from tests.data import toy
from tests.data.toy import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("low-resource")
    write(root, "train", 1000)
    write(root, "dev", 80)
    return root


def run(folder: Path, **changes: object) -> TaskData:
    return toy.run(folder, **{"slice_min": 5, **changes})


def kept(prepared: TaskData) -> set[str]:
    return {*prepared.train.ids, *prepared.slice.ids}


def lines(rows: Rows) -> list[int]:
    return [int(name.removeprefix("train-")) for name in rows.ids]


def test_a_fraction_is_of_the_rows_that_are_left_and_holds_the_slice(folder: Path) -> None:
    prepared = run(folder, fraction=0.05)
    assert len(kept(prepared)) == 40  # 5% of the 800 rows beside internal_test
    assert (len(prepared.train), len(prepared.slice)) == (35, 5)
    assert kept(prepared) < kept(run(folder))
    assert len(prepared.evaluation) == 80
    tuned = run(folder, fraction=0.05, evaluate_on="tune")
    assert len(kept(tuned)) == 32
    assert len(tuned.evaluation) == 160
    assert not kept(tuned) & set(tuned.evaluation.ids)


def test_a_fraction_keeps_the_share_of_labels(folder: Path) -> None:
    prepared = run(folder, fraction=0.1)
    labels = [*prepared.train.labels.tolist(), *prepared.slice.labels.tolist()]
    assert Counter(labels) == {0: 60, 1: 20}


def test_fractions_are_nested_and_follow_the_split_seed(folder: Path) -> None:
    assert kept(run(folder, fraction=0.05)) < kept(run(folder, fraction=0.3)) < kept(run(folder))
    assert run(folder, fraction=0.05).digest == run(folder, fraction=0.05).digest
    assert kept(run(folder, fraction=0.05)) != kept(run(folder, fraction=0.05, split_seed=1))


def test_the_whole_is_a_fraction_of_one(folder: Path) -> None:
    assert run(folder, fraction=1.0).digest == run(folder).digest


def test_which_rows_are_kept_is_in_ids_and_digest(folder: Path) -> None:
    first, other = run(folder, fraction=0.05), run(folder, fraction=0.05, subset="head")
    assert set(first.train.ids) != set(other.train.ids)
    assert first.digest != other.digest
    path = folder / "Toy" / "train.tsv"
    texts = path.read_text().split("\n")
    for line, text in zip(lines(first.train), first.train.texts_a, strict=True):
        assert texts[line - 1].split("\t")[0] == text


@pytest.mark.parametrize(
    ("fraction", "cap", "size"), [(0.05, 100, 40), (0.5, 100, 100), (None, 100, 100), (0.5, None, 400)]
)
@pytest.mark.parametrize("subset", ["sample", "head"])
def test_of_a_fraction_and_a_cap_the_smaller_wins(
    folder: Path, fraction: float | None, cap: int | None, size: int, subset: str
) -> None:
    prepared = run(folder, fraction=fraction, max_train_rows=cap, subset=subset)
    assert len(kept(prepared)) == size
    if subset == "sample":
        assert prepared.digest == run(folder, max_train_rows=size).digest


def test_the_head_is_the_first_rows_of_the_file(folder: Path) -> None:
    prepared = run(folder, fraction=0.05, subset="head", internal_test=0.0)
    assert sorted([*lines(prepared.train), *lines(prepared.slice)]) == list(range(2, 52))
    beside = run(folder, fraction=0.05, subset="head")
    internal = run(folder, evaluate_on="internal_test").evaluation
    rest = sorted(set(range(2, 1002)) - set(lines(internal)))
    assert sorted([*lines(beside.train), *lines(beside.slice)]) == rest[:40]
    assert len(kept(run(folder, max_train_rows=5000, subset="head"))) == 800


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fraction": 0.0}, "greater than 0"),
        ({"fraction": 1.5}, "less than or equal to 1"),
        ({"subset": "tail"}, "'sample' or 'head'"),
        ({"subset": "head"}, "say how many with fraction or max_train_rows"),
    ],
)
def test_fields_out_of_bounds_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        DataParams.model_validate(changes)


# Computed before there were fractions, development shares and multiple choice. A unit's folder is
# named by such a digest, so a change here leaves every finished unit behind.
BEFORE = {
    "looks": "c8ab1c80134076629665",
    "says": "484db91d08fc12559681",
}
SHARED = {
    "mrpc": (DataParams(), "2cb2a8d690eaada6373c"),
    "stsb": (
        DataParams(max_train_rows=500, max_eval_rows=100, evaluate_on="tune"),
        "25f541140e357ae78c2a",
    ),
}


def test_the_toy_rows_have_not_changed(folder: Path) -> None:
    assert run(folder, slice_min=100).digest == "816ec74f7fc0da670a44"
    changes = {"evaluate_on": "tune", "max_train_rows": 300, "max_eval_rows": 50, "slice_min": 100}
    assert run(folder, **changes).digest == "12f60985b6a06480b654"


@pytest.mark.parametrize("name", ["looks", "says"])
def test_the_embedded_rows_have_not_changed(name: str) -> None:
    assert prepare(validate(TaskParams, read_named("tasks", name), name), DataParams()).digest == BEFORE[name]


@pytest.mark.parametrize("name", list(SHARED))
def test_the_rows_of_the_shared_files_have_not_changed(name: str, shared_data: Path) -> None:
    data, digest = SHARED[name]
    task = validate(TaskParams, read_named("tasks", name), name)
    chosen = data.model_copy(update={"source": "files", "dir": str(shared_data)})
    assert prepare(task, chosen).digest == digest
