"""The shipped task files, and the real GLUE files that they describe."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mase.data import prepare
from mase.data.embedded import TASKS
from mase.data.files import read_file, read_split
from mase.errors import DataError
from mase.params import DataParams, TaskParams, available, read_named, validate

GLUE = ("sst2", "qnli", "qqp", "mnli", "mrpc", "stsb")


def load(name: str) -> TaskParams:
    return validate(TaskParams, read_named("tasks", name), f"tasks/{name}.yaml")


@pytest.mark.parametrize("name", available("tasks"))
def test_every_shipped_task_parses_and_is_named_after_its_file(name: str) -> None:
    task = load(name)
    assert task.name == name
    assert task.files or task.hub or task.embedded


def test_the_six_glue_tasks_and_the_four_embedded_ones_are_there() -> None:
    assert {*GLUE, *TASKS} <= set(available("tasks"))
    for name in GLUE:
        task = load(name)
        assert task.files is not None
        assert task.hub is not None
        assert len(task.hub.revision) == 40
        assert task.files.folder == task.title
    for name in TASKS:
        assert load(name).embedded == name
        assert "Synthetic" in load(name).note


def test_the_metrics_follow_the_protocol_of_the_lineage() -> None:
    main = {name: load(name).main_metric for name in GLUE}
    assert main == {
        "sst2": "accuracy",
        "qnli": "accuracy",
        "mnli": "accuracy",
        "qqp": "acc_and_f1",
        "mrpc": "acc_and_f1",
        "stsb": "pearson_spearman",
    }
    assert load("mrpc").metrics == load("qqp").metrics == ("accuracy", "f1", "acc_and_f1")
    assert load("stsb").metrics == ("pearson", "spearman", "pearson_spearman")


def test_the_order_of_the_mnli_labels_is_fixed() -> None:
    assert load("mnli").labels == ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("name", "train", "dev", "labels"),
    [
        ("sst2", 8000, 436, {0: 3498, 1: 4502}),
        ("qnli", 8000, 2000, {0: 4015, 1: 3985}),
        ("qqp", 8000, 500, {0: 5086, 1: 2914}),
        ("mnli", 8000, 500, {0: 2708, 1: 2649, 2: 2643}),
        ("mrpc", 3667, 204, {0: 1194, 1: 2473}),
    ],
)
def test_the_real_classification_files_are_read_whole(
    shared_data: Path, name: str, train: int, dev: int, labels: dict[int, int]
) -> None:
    rows, path = read_split(load(name), str(shared_data), "train")
    assert len(rows) == train
    assert Counter(rows.labels.tolist()) == labels
    assert path.is_relative_to(shared_data / "glue")
    assert len(read_split(load(name), str(shared_data / "glue"), "dev")[0]) == dev


def test_the_real_stsb_files_are_read_whole(shared_data: Path) -> None:
    rows, _ = read_split(load("stsb"), str(shared_data), "train")
    assert len(rows) == 5744
    assert rows.labels.dtype == np.float32
    assert (rows.labels.min(), rows.labels.max()) == (0.0, 5.0)
    assert rows.labels.mean() == pytest.approx(2.70, abs=0.01)
    assert len(read_split(load("stsb"), str(shared_data), "dev")[0]) == 750


def test_quotes_and_the_byte_order_mark_of_mrpc_survive(shared_data: Path) -> None:
    rows, _ = read_split(load("mrpc"), str(shared_data), "train")
    assert rows.texts_a[0].startswith('Amrozi accused his brother , whom he called " the witness " ,')
    assert rows.labels[0] == 1


@pytest.mark.parametrize("name", ["qnli", "qqp", "mnli"])
def test_rows_with_every_official_column_are_read_too(shared_data: Path, name: str) -> None:
    task = load(name)
    assert task.files is not None
    path = shared_data / "glue" / task.files.folder / "train_official_rows.tsv"
    rows = read_file(path, task, task.files.columns)
    assert len(rows) == {"qnli": 320, "qqp": 319, "mnli": 480}[name]


@pytest.mark.parametrize("name", ["mrpc", "stsb", "mnli"])
@pytest.mark.parametrize("evaluate_on", ["tune", "internal_test"])
def test_no_pair_of_texts_is_in_two_parts_of_a_real_file(
    shared_data: Path, name: str, evaluate_on: str
) -> None:
    data = DataParams.model_validate(
        {"source": "files", "dir": str(shared_data), "max_train_rows": 2000, "evaluate_on": evaluate_on}
    )
    prepared = prepare(load(name), data)
    assert len(prepared.train) + len(prepared.slice) == 2000
    parts = [{frozenset(p) for p in r.pairs()} for r in (prepared.train, prepared.slice, prepared.evaluation)]
    assert not parts[0] & parts[1]
    assert not parts[2] & (parts[0] | parts[1])
    means = [rows.labels.mean() for rows in (prepared.train, prepared.slice, prepared.evaluation)]
    assert means == pytest.approx([means[0]] * 3, abs=0.05)


def test_a_real_file_cut_in_the_middle_names_the_line(shared_data: Path, tmp_path: Path) -> None:
    raw = (shared_data / "glue" / "QNLI" / "dev.tsv").read_bytes()
    cut = raw[: raw.rindex(b"\t", 0, raw.index(b"\n", 60_000))]  # a label and all that follows are lost
    (tmp_path / "QNLI").mkdir()
    (tmp_path / "QNLI" / "dev.tsv").write_bytes(cut)
    line = cut.count(b"\n") + 1
    with pytest.raises(DataError, match=rf"dev\.tsv:{line}: 3 fields where the header has 4"):
        read_split(load("qnli"), str(tmp_path), "dev")
