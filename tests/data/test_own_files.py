"""A user's own files: the same rows from every format, and what each broken file says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from mase.data import Rows, prepare
from mase.data.files import find_file, read_split
from mase.errors import DataError, ParamsError
from mase.params import DataParams, FileSource, TaskParams, read_named, validate
from mase.params.task import beside
from tests.data.toy import own_task

RECORDS = [
    {"review": "one, and\nmore", "stars": "bad"},
    {"review": 'say "x"', "stars": "good"},
    {"review": "caf\u00e9 \u2028 here", "stars": "good"},
]


def as_csv(records: list[dict[str, Any]]) -> str:
    quoted = [",".join('"' + str(v).replace('"', '""') + '"' for v in r.values()) for r in records]
    return "\r\n".join([",".join(records[0]), *quoted]) + "\r\n"


def as_jsonl(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write_all(folder: Path, records: list[dict[str, Any]]) -> None:
    (folder / "a.csv").write_bytes(as_csv(records).encode())
    (folder / "a.jsonl").write_text(as_jsonl(records), encoding="utf-8")
    parquet.write_table(arrow.Table.from_pylist(records), folder / "a.parquet")


def read(folder: Path, train: str, **files: Any) -> Rows:
    return read_split(own_task(folder, train, **files), None, "train")[0]


CSV = "review,stars\nfine,good\n"


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    write_all(tmp_path, RECORDS)
    csv, jsonl, table = (read(tmp_path, f"a.{suffix}") for suffix in ("csv", "jsonl", "parquet"))
    assert csv.texts_a == jsonl.texts_a == table.texts_a == tuple(str(r["review"]) for r in RECORDS)
    assert csv.labels.tolist() == jsonl.labels.tolist() == table.labels.tolist() == [0, 1, 1]
    assert csv.ids == ("train-2", "train-4", "train-5")  # the first record has a line break
    assert jsonl.ids == table.ids == ("train-1", "train-2", "train-3")


def test_a_tsv_has_no_quoting_and_a_csv_has(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('review\tstars\n"good" , they say\tgood\n')
    assert read(tmp_path, "a.tsv").texts_a == ('"good" , they say',)
    (tmp_path / "a.csv").write_text('review,stars\n"good , they say",good\n')
    assert read(tmp_path, "a.csv").texts_a == ("good , they say",)


def test_the_format_may_be_said_where_the_suffix_does_not(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text(as_jsonl(RECORDS))
    assert len(read(tmp_path, "a.dat", format="jsonl")) == 3
    with pytest.raises(ParamsError, match=r"format of 'a\.dat' is unknown; set format: tsv, csv, jsonl"):
        own_task(tmp_path, "a.dat")
    with pytest.raises(ParamsError, match=r"format of 'b\.dat' is unknown"):
        own_task(tmp_path, "a.csv", dev="b.dat")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_byte_order_mark_is_no_error(tmp_path: Path, name: str) -> None:
    write_all(tmp_path, RECORDS)
    plain = read(tmp_path, name)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert read(tmp_path, name) == plain


def test_numbers_and_truth_values_are_labels_as_they_would_be_written(tmp_path: Path) -> None:
    lines = ['{"review": "a", "stars": 1}', '{"review": "b", "stars": 1.0}', '{"review": "c", "stars": true}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n\n")
    task = own_task(tmp_path, "a.jsonl").model_copy(update={"labels": ("true", "1")})
    assert read_split(task, None, "train")[0].labels.tolist() == [1, 1, 0]


def test_pairs_and_scores_are_read_from_named_and_nested_columns(tmp_path: Path) -> None:
    records = [{"x": {"a": " one "}, "b": "two", "s": 2.5}, {"x": {"a": "three"}, "b": "four", "s": 5}]
    write_all(tmp_path, records)
    columns = {"text_a": "x.a", "text_b": "b", "label": "s"}
    for name in ("a.jsonl", "a.parquet"):
        task = own_task(tmp_path, name, columns=columns)
        task = task.model_copy(update={"family": "regression", "label_range": (0, 5)})
        rows, _ = read_split(task, None, "train")
        assert (rows.texts_a, rows.texts_b) == (("one", "three"), ("two", "four"))
        assert rows.labels.dtype == np.float32
        assert rows.labels.tolist() == [2.5, 5.0]


def test_empty_texts_may_be_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('review,stars\n"",bad\nx,good\n')
    assert read(tmp_path, "a.csv", empty_texts="keep").texts_a == ("", "x")


def test_a_missing_file_names_the_place_the_yaml_and_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text(CSV)
    with pytest.raises(DataError) as caught:
        read(tmp_path, "review.csv")
    message = str(caught.value)
    assert message.startswith("review.csv not found (there is 'reviews.csv'): looked for ")
    assert str(tmp_path / "review.csv") in message
    assert "under files: in the task's YAML" in message


def test_data_dir_comes_before_the_folder_of_the_yaml(tmp_path: Path) -> None:
    own, data = tmp_path / "own", tmp_path / "data"
    for folder in (own / "Set", data / "Set"):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(CSV)
    source = own_task(own, "a.csv", folder="Set").files
    assert isinstance(source, FileSource)
    assert source.located
    assert find_file(source, None, "a.csv") == own / "Set" / "a.csv"
    assert find_file(source, str(data), "a.csv") == data / "Set" / "a.csv"
    (data / "Set" / "a.csv").unlink()
    assert find_file(source, str(data), "a.csv") == own / "Set" / "a.csv"


def test_an_absolute_folder_needs_no_data_dir_and_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    source = FileSource.model_validate(
        {
            "folder": str(tmp_path),
            "train": "a.csv",
            "columns": {"text_a": "review", "label": "stars"},
        }
    )
    assert source.located
    assert find_file(source, None, "a.csv") == tmp_path / "a.csv"
    bare = source.model_copy(update={"folder": "Set"})
    assert not bare.located
    with pytest.raises(DataError, match="--data-dir"):
        find_file(bare, None, "a.csv")


def test_a_task_without_files_has_nothing_beside_it(tmp_path: Path) -> None:
    assert beside({"name": "looks"}, tmp_path / "looks.yaml") == {"name": "looks"}
    assert beside({"files": {"train": "a.csv"}}, tmp_path / "x.yaml")["files"]["beside"] == str(tmp_path)


def many(folder: Path, count: int = 200) -> None:
    lines = [f"text {i % 150},{'good' if i % 4 == 0 else 'bad'}" for i in range(count)]
    (folder / "a.csv").write_text("\n".join(["review,stars", *lines]) + "\n")


def test_without_a_development_file_a_stratified_share_of_train_is_it(tmp_path: Path) -> None:
    many(tmp_path)
    data = DataParams(source="files", internal_test=0.1, slice_min=10)
    fifth = prepare(own_task(tmp_path, "a.csv"), data)
    assert len(fifth.evaluation) == 40
    assert fifth.evaluation.labels.mean() == pytest.approx(0.25, abs=0.03)
    assert fifth.counts["train_file"] == 160
    assert fifth.source == f"files:{tmp_path / 'a.csv'}"
    half = prepare(own_task(tmp_path, "a.csv", dev_share=0.5), data)
    assert len(half.evaluation) == 100
    for found in (fifth, half):  # the same text is never on both sides
        assert not {*found.train.texts_a, *found.slice.texts_a} & {*found.evaluation.texts_a}


def test_the_development_share_follows_the_split_seed(tmp_path: Path) -> None:
    many(tmp_path)
    task = own_task(tmp_path, "a.csv")
    first, again, other = (prepare(task, DataParams(source="files", split_seed=s)) for s in (0, 0, 1))
    assert first.evaluation == again.evaluation
    assert set(first.evaluation.ids) != set(other.evaluation.ids)
    internal = prepare(task, DataParams(source="files", evaluate_on="internal_test"))
    assert not {*internal.evaluation.ids} & {*first.evaluation.ids}
    assert internal.train == first.train


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"dev_share": 0}, "files.dev_share: Input should be greater than 0"),
        ({"dev_share": 1.0}, "files.dev_share: Input should be less than 1"),
        (
            {"format": "xlsx"},
            "files.format: Input should be 'tsv', 'csv', 'jsonl', 'parquet', 'squad'",
        ),
        ({"empty_texts": "drop"}, "files.empty_texts: Input should be 'refuse' or 'keep'"),
        (
            {"columns": {"text_a": "", "label": "stars"}},
            "files.columns.text_a: String should have at least 1",
        ),
        ({"folder": ""}, "files.folder: String should have at least 1"),
    ],
)
def test_fields_out_of_bounds_are_refused(tmp_path: Path, files: dict[str, Any], what: str) -> None:
    with pytest.raises(ParamsError, match=what):
        own_task(tmp_path, "a.csv", **files)


@pytest.mark.parametrize(
    ("labels", "what"),
    [(["no", True], "quote them"), (["a", "b", "a"], "names a class twice"), (["a"], "at least two labels")],
)
def test_labels_that_yaml_misreads_or_repeats_are_refused(labels: list[Any], what: str) -> None:
    content = {"name": "x", "title": "X", "family": "classification", "metrics": ["accuracy"]}
    with pytest.raises(ParamsError, match=what):
        validate(TaskParams, {**content, "main_metric": "accuracy", "labels": labels}, "x.yaml")


def test_numbers_are_labels(tmp_path: Path) -> None:
    content = own_task(tmp_path, "a.csv").model_dump() | {"labels": [0, 1]}
    assert TaskParams.model_validate(content).labels == ("0", "1")


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_captions_of_one_picture_are_a_group_in_every_format(tmp_path: Path, name: str) -> None:
    write_all(tmp_path, [{"caption": f"a cup {i}", "image_id": i // 2} for i in range(4)])
    cloze = read_named("tasks", "memory_color")
    files = {"train": name, "dev": "probe.jsonl", "columns": {"text_a": "caption", "label": "caption"}}
    task = validate(TaskParams, beside({**cloze, "files": files}, tmp_path / "x.yaml"), "x.yaml")
    assert read_split(task, None, "train")[0].groups == ("0", "0", "1", "1")
