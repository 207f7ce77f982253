"""Hub data sets, read from folders that `datasets` opens without a network."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mase.data import hub, prepare
from mase.errors import DataError
from mase.params import DataParams, HubSource, TaskParams, read_named, validate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that `datasets` imports
    import datasets

REVISION = "0123456789abcdef0123456789abcdef01234567"


def task(task_name: str, **hub_changes: object) -> TaskParams:
    content = read_named("tasks", task_name)
    content["hub"] = {**content["hub"], **hub_changes}
    return validate(TaskParams, content, task_name)


def in_memory(labels: list[int], names: list[str], **columns: Sequence[str | None]) -> datasets.Dataset:
    features = datasets.Features(
        {**{name: datasets.Value("string") for name in columns}, "label": datasets.ClassLabel(names=names)}
    )
    return datasets.Dataset.from_dict({**columns, "label": labels}, features=features)


def source_of(params: TaskParams) -> HubSource:
    assert params.hub is not None
    return params.hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path


@pytest.fixture
def sst2_folder(cache: Path) -> Path:
    folder = cache / "sst2"
    folder.mkdir()
    for split, count in (("train", 600), ("validation", 40)):
        labels = [i % 2 for i in range(count)]
        rows = in_memory(labels, ["negative", "positive"], sentence=[f"{split} {i} " for i in range(count)])
        rows.to_parquet(folder / f"{split}.parquet")
    return folder


def test_a_data_set_is_prepared_end_to_end(sst2_folder: Path) -> None:
    params = task("sst2", path=str(sst2_folder), name=None, revision=REVISION)
    prepared = prepare(params, DataParams(source="hub"))
    assert prepared.counts["train_file"] == 600
    assert prepared.counts["evaluation"] == 40
    assert prepared.source == f"hub:{sst2_folder}/train@{REVISION}"
    numbers = [int(text.removeprefix("train ")) for text in prepared.train.texts_a]
    assert [number % 2 for number in numbers] == prepared.train.labels.tolist()


def test_an_unknown_split_is_a_data_error(sst2_folder: Path) -> None:
    params = task("sst2", path=str(sst2_folder), name=None, train="training")
    with pytest.raises(DataError, match=r"training@.*cannot be loaded .*correct task\.hub"):
        hub.read_split(params, "train")


def test_an_unreachable_hub_names_the_data_set_and_what_to_do(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        hub.read_split(task("sst2", path="nobody/no-such-data"), "train")
    message = str(caught.value)
    assert message.startswith("hub:nobody/no-such-data/sst2/train@")
    assert "the hub cannot be reached" in message
    assert "--data-dir" in message


def test_class_names_are_matched_by_name_not_by_number() -> None:
    params = task("mnli")
    columns = {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"]}
    rows = in_memory([0, 1, 2], ["contradiction", "entailment", "neutral"], **columns)
    read = hub.from_dataset(rows, params, source_of(params))
    assert [params.labels[label] for label in read.labels] == ["contradiction", "entailment", "neutral"]
    assert read.texts_b == ("d", "e", "f")


def test_a_numbered_task_takes_the_class_ids() -> None:
    params = task("mrpc")
    rows = in_memory([1, 0], ["not_equivalent", "equivalent"], sentence1=["a", "b"], sentence2=["c", "d"])
    assert hub.from_dataset(rows, params, source_of(params)).labels.tolist() == [1, 0]


def test_scores_are_read_and_checked() -> None:
    params = task("stsb")
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [2.5, 5.0]}
    read = hub.from_dataset(datasets.Dataset.from_dict(rows), params, source_of(params))
    assert read.labels.dtype == np.float32
    assert read.labels.tolist() == [2.5, 5.0]
    rows["label"] = [2.5, 5.5]
    with pytest.raises(DataError, match="row 1: score '5.5' is outside 0 to 5"):
        hub.from_dataset(datasets.Dataset.from_dict(rows), params, source_of(params))


def test_a_hidden_test_label_is_refused() -> None:
    params = task("sst2")
    with pytest.raises(DataError, match="row 1: unknown label '-1'"):
        hub.from_dataset(
            in_memory([0, -1], ["negative", "positive"], sentence=["a", "b"]), params, source_of(params)
        )


def test_a_missing_column_an_empty_text_and_an_empty_split_are_refused() -> None:
    params = task("sst2")
    wrong = in_memory([0], ["negative", "positive"], text=["a"])
    with pytest.raises(DataError, match="no column 'sentence'; the data set has 'text', 'label'"):
        hub.from_dataset(wrong, params, source_of(params))
    null = in_memory([0, 1], ["negative", "positive"], sentence=["a", None])
    with pytest.raises(DataError, match="row 1: column 'sentence' is None, not a text"):
        hub.from_dataset(null, params, source_of(params))
    empty = in_memory([], ["negative", "positive"], sentence=[])
    with pytest.raises(DataError, match="has no rows"):
        hub.from_dataset(empty, params, source_of(params))
