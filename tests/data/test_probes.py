"""The probes of visual knowledge: what the shared files hold, and how records become rows."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mase.data import Rows, prepare
from mase.data.cloze import are_texts
from mase.data.nouns import head_noun
from mase.data.prepare import read
from mase.errors import DataError, ParamsError
from mase.params import DataParams, TaskParams, read_named, validate

ADAPT = {  # items, share of the most frequent label in percent, labels, whether there is a distribution
    "memory_color": (109, 22.9, 11, False),
    "color_terms": (52, 19.2, 10, False),
    "object_shape": (140, 73.6, 12, False),
    "vicomte_color": (574, 37.5, 12, True),
    "vicomte_shape": (140, 73.6, 12, True),
    "vicomte_material": (284, 29.2, 18, True),
    "vicomte_coda": (107, 19.6, 11, True),
}


def task_of(name: str, **changes: object) -> TaskParams:
    return validate(TaskParams, {**read_named("tasks", name), **changes}, name)


def data_of(folder: Path, **changes: object) -> DataParams:
    return DataParams.model_validate({"source": "files", "dir": str(folder), **changes})


def classes(rows: Rows) -> np.ndarray:
    return rows.labels if rows.labels.ndim == 1 else rows.labels[:, 0]


@pytest.mark.parametrize("name", ADAPT)
def test_a_probe_has_the_published_size_and_majority(name: str, shared_data: Path) -> None:
    items, majority, labels, mined = ADAPT[name]
    task = task_of(name)
    rows, _ = read(task, data_of(shared_data), "dev")
    assert len(rows) == items and len(task.labels) == labels and len(task.templates) >= 5
    assert round(100 * np.bincount(classes(rows)).max() / len(rows), 1) == majority
    assert f"gives {majority}" in task.note
    assert rows.labels.shape == ((items, 1 + labels) if mined else (items,))
    assert rows.references == tuple((task.labels[k],) for k in classes(rows))


@pytest.mark.parametrize("name", ADAPT)
def test_the_supervised_twin_asks_the_same_labels_by_another_family(name: str, shared_data: Path) -> None:
    adapt, supervised = task_of(name), task_of(f"{name}_supervised")
    assert supervised.labels == adapt.labels and supervised.family == "classification" != adapt.family
    train, _ = read(supervised, data_of(shared_data, folds=5), "train")
    assert train.groups is not None and len(train.labels) >= 52


def test_most_labels_are_some_objects(shared_data: Path) -> None:
    never = {}
    for name in ("memory_color", "color_terms", "vicomte_color", "vicomte_coda"):
        task = task_of(name)
        rows = [read(task, data_of(shared_data), "dev")[0]]
        if name.startswith("vicomte"):
            rows.append(read(task_of(f"{name}_supervised"), data_of(shared_data), "train")[0])
        seen = {task.labels[k] for part in rows for k in classes(part)}
        never[name] = set(task.labels) - seen
    assert not any(never.values()), never


def test_both_forms_of_memory_colors_differ_in_one_label(shared_data: Path) -> None:
    lines, _ = read(task_of("memory_color"), data_of(shared_data), "dev")
    files = dict(read_named("tasks", "memory_color")["files"])
    files |= {
        "dev": "memory_color/memory_color_data.csv",
        "dev_format": "csv",
        "dev_columns": {"article": "Descriptor", "text_a": "Item", "label": "Color"},
    }
    table, _ = read(task_of("memory_color", files=files), data_of(shared_data), "dev")
    assert table.texts_a == lines.texts_a  # "a ", "the " of the table lose their space
    differ = np.flatnonzero(table.labels != lines.labels)
    assert [lines.texts_a[i] for i in differ] == ["a pumpkin"]


def test_the_object_comes_with_its_article(shared_data: Path) -> None:
    rows, _ = read(task_of("memory_color"), data_of(shared_data), "dev")
    assert {"a sunflower", "the ocean", "grass", "the inside of a watermelon"} <= set(rows.texts_a)
    assert rows.groups is not None
    assert rows.groups[rows.texts_a.index("the inside of a watermelon")] == "watermelon"
    assert "cheese" in rows.groups and "feta cheese" not in rows.groups


def test_obj_is_read_and_not_alt(shared_data: Path) -> None:
    lines = (shared_data / "object_shape" / "test.jsonl").read_text().splitlines()
    task = task_of("object_shape")
    rows, _ = read(task, data_of(shared_data), "dev")
    records = [json.loads(line) for line in lines]
    assert [task.labels[k] for k in rows.labels] == [record["obj"] for record in records]
    assert Counter(record["alt"] == record["obj"] for record in records)[True] == 0


@pytest.mark.parametrize("name", ["color_terms", "vicomte_color"])
def test_grey_and_gray_are_one_label(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("object,color\nash,grey\nfog,gray\nsnow,white\n")
    files = {"train": "a.csv", "columns": {"text_a": "object", "label": "color"}}
    task = task_of(f"{name}_supervised", files=files)
    rows, _ = read(task, data_of(tmp_path, folds=2), "train")
    assert rows.labels[0] == rows.labels[1] != rows.labels[2]
    assert rows.texts_a == ("the ash", "the fog", "the snow")


def test_a_distribution_is_in_the_order_of_the_labels(shared_data: Path) -> None:
    task = task_of("vicomte_color")
    rows, _ = read(task, data_of(shared_data), "dev")
    mined = json.loads((shared_data / "vicomte" / "distributions" / "color-dist.jsonl").read_text())
    first = rows.texts_a[0]
    order = sorted(task.labels)
    assert rows.labels[0, 1:].tolist() == [mined[first][order.index(label)] for label in task.labels]
    turned = task_of("vicomte_color", labels=list(reversed(task.labels)))
    other, _ = read(turned, data_of(shared_data), "dev")
    assert other.labels[0, 1:].tolist() == rows.labels[0, :0:-1].tolist()
    # the gold label is the most frequent one, up to ties
    assert (rows.labels[np.arange(len(rows)), 1 + rows.labels[:, 0]] == rows.labels[:, 1:].max(axis=1)).all()


def test_no_head_noun_is_on_both_sides_of_a_fold(shared_data: Path) -> None:
    task = task_of("vicomte_shape_supervised")
    evaluated: list[str] = []
    for fold in range(5):
        found = prepare(task, data_of(shared_data, folds=5, fold=fold, slice_min=20))
        inside, outside = (
            {head_noun(text) for part in parts for text in part.texts_a}
            for parts in ([found.evaluation], [found.train, found.slice])
        )
        assert inside and outside and not inside & outside
        evaluated += found.evaluation.ids
    assert len(evaluated) == len(set(evaluated)) == 566


def test_captions_of_one_picture_stay_together(shared_data: Path) -> None:
    found = prepare(task_of("memory_color"), data_of(shared_data, max_train_rows=600))
    assert are_texts(found.train) and are_texts(found.slice) and not are_texts(found.evaluation)
    assert not set(found.train.groups or ()) & set(found.slice.groups or ())
    assert found.counts["evaluation"] == 109


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not JSON"),
        ("{}", "no list 'annotations'"),
        ('{"annotations": [{"caption": "a"}, {"bbox": []}]}', "annotation 2 has no caption"),
        ('{"annotations": [{"caption": "..."}]}', "no word that could be hidden"),
        ('{"annotations": [{"caption": "a [MASK] b"}]}', "stands for a hidden word"),
    ],
)
def test_a_file_that_is_no_captions_file_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "coco_captions").mkdir()
    (tmp_path / "coco_captions" / "captions_val2017.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read(task_of("memory_color"), data_of(tmp_path), "train")


def test_vicomte_without_its_distributions_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "vicomte" / "db" / "shape"
    place.mkdir(parents=True)
    (place / "test.jsonl").write_text('{"sub": "pot", "obj": "round", "alt": "heart"}\n')
    with pytest.raises(DataError, match="shape-dist.jsonl"):
        read(task_of("vicomte_shape"), data_of(tmp_path), "dev")
    for folder, name, content in (
        ("distributions", "shape-dist.jsonl", '{"pan": [1, 2]}'),
        ("words", "shape-words.txt", "round\nsquare\n"),
    ):
        (tmp_path / "vicomte" / folder).mkdir()
        (tmp_path / "vicomte" / folder / name).write_text(content)
    with pytest.raises(DataError, match=r"test.jsonl:1: no distribution of 'pot'"):
        read(task_of("vicomte_shape"), data_of(tmp_path), "dev")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"templates": []}, "a cloze task needs templates"),
        ({"files": None}, "a cloze task needs files.dev"),
        ({"templates": ["[object] is red"]}, r"needs \[object\] and \[blank\] once"),
        ({"templates": ["It is [blank]"]}, r"needs \[object\]"),
        ({"templates": ["[blank] is [object]"]}, "a space must stand before"),
        ({"family": "classification", "templates": ["a [object]", "the [object]"]}, "takes one template"),
        ({"family": "classification", "templates": ["[object] is [blank]"]}, r"no \[blank\]"),
    ],
)
def test_templates_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        task_of("memory_color", **{"metrics": ["accuracy"], **changes})
