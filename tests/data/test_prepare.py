"""The split recipe, on files written here: nothing leaks, and the same params give the same rows."""

from pathlib import Path

import pytest

from mase.data import Rows, prepare
from mase.data.prepare import slice_size
from mase.data.rows import together
from mase.errors import DataError, ParamsError
from mase.params import DataParams
from tests.data.toy import TASK, run, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train", 1000)
    write(tmp_path, "dev", 80)
    return tmp_path


def texts(rows: Rows) -> set[str]:
    return set(rows.texts_a)


def test_the_recipe_gives_these_counts(folder: Path) -> None:
    prepared = run(folder)
    assert prepared.counts == {
        "train": 700,
        "slice": 100,
        "evaluation": 80,
        "internal_test": 200,
        "train_file": 1000,
    }
    assert run(folder, evaluate_on="tune").counts["evaluation"] == 160
    assert run(folder, evaluate_on="internal_test").counts["evaluation"] == 200
    assert prepared.source.endswith("train.tsv")


@pytest.mark.parametrize("evaluate_on", ["dev", "internal_test", "tune", "dev_and_internal_test"])
def test_the_parts_are_disjoint(folder: Path, evaluate_on: str) -> None:
    prepared = run(folder, evaluate_on=evaluate_on)
    train, information, evaluation = (texts(r) for r in (prepared.train, prepared.slice, prepared.evaluation))
    assert not train & information
    assert not evaluation & (train | information)
    assert len(train | information | evaluation) == sum(
        prepared.counts[name] for name in ("train", "slice", "evaluation")
    )


def test_no_way_of_evaluating_ever_trains_on_the_internal_test(folder: Path) -> None:
    internal = texts(run(folder, evaluate_on="internal_test").evaluation)
    for evaluate_on in ("dev", "tune", "internal_test", "dev_and_internal_test"):
        for cap in (None, 300):
            prepared = run(folder, evaluate_on=evaluate_on, max_train_rows=cap)
            assert not internal & (texts(prepared.train) | texts(prepared.slice))
    assert not internal & texts(run(folder, evaluate_on="tune").evaluation)


def test_training_rows_are_the_same_for_dev_and_internal_test(folder: Path) -> None:
    on_dev, on_internal = run(folder), run(folder, evaluate_on="internal_test")
    assert on_dev.train == on_internal.train
    assert on_dev.slice == on_internal.slice
    assert on_dev.digest != on_internal.digest


@pytest.mark.parametrize("evaluate_on", ["internal_test", "tune"])
def test_the_development_file_is_opened_only_for_dev(folder: Path, evaluate_on: str) -> None:
    (folder / "Toy" / "dev.tsv").unlink()
    assert len(run(folder, evaluate_on=evaluate_on).evaluation)
    with pytest.raises(DataError, match=r"dev\.tsv not found"):
        run(folder)


def test_every_part_keeps_the_share_of_labels(folder: Path) -> None:
    prepared = run(folder, evaluate_on="tune", max_train_rows=200, max_eval_rows=40)
    for rows in (prepared.train, prepared.slice, prepared.evaluation):
        assert rows.labels.mean() == pytest.approx(0.25, abs=0.02)


def test_caps_count_the_slice_in(folder: Path) -> None:
    prepared = run(folder, max_train_rows=300, max_eval_rows=50)
    assert len(prepared.train) + len(prepared.slice) == 300
    assert len(prepared.evaluation) == 50
    larger = run(folder, max_train_rows=500)
    kept = texts(larger.train) | texts(larger.slice)
    assert texts(prepared.train) | texts(prepared.slice) < kept


@pytest.mark.parametrize(
    ("rows", "size"), [(64, 32), (256, 100), (1000, 100), (3000, 300), (8000, 512), (1, 0)]
)
def test_the_slice_follows_its_share_floor_ceiling_and_half(rows: int, size: int) -> None:
    assert slice_size(rows, DataParams()) == size


def test_the_same_params_give_the_same_digest_and_another_split_seed_does_not(folder: Path) -> None:
    first, again, other = run(folder), run(folder), run(folder, split_seed=1)
    assert first.digest == again.digest
    assert first.train == again.train
    assert other.digest != first.digest
    assert texts(other.train) != texts(first.train)


def test_the_split_does_not_depend_on_the_order_of_the_file(folder: Path) -> None:
    before = run(folder, evaluate_on="internal_test", max_train_rows=400)
    write(folder, "train", 1000, step=-1)
    after = run(folder, evaluate_on="internal_test", max_train_rows=400)
    for part in ("train", "slice", "evaluation"):
        assert texts(getattr(before, part)) == texts(getattr(after, part))


def test_a_changed_label_changes_the_digest(folder: Path) -> None:
    before = run(folder).digest
    path = folder / "Toy" / "dev.tsv"
    path.write_text(path.read_text().replace("dev 1\tno", "dev 1\tyes"))
    assert run(folder).digest != before


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"internal_test": 1.0}, "train, slice"),
        ({"internal_test": 0.0, "evaluate_on": "internal_test"}, "evaluation"),
        ({"tune_share": 0.0, "evaluate_on": "tune"}, "evaluation"),
        ({"max_train_rows": 1}, "slice"),
    ],
)
def test_a_part_without_rows_is_a_params_error(folder: Path, changes: dict[str, object], part: str) -> None:
    with pytest.raises(ParamsError, match=rf"no rows left for {part} of 1000"):
        run(folder, **changes)


def test_a_task_without_the_source_says_so() -> None:
    with pytest.raises(DataError, match="not on the hub"):
        prepare(TASK, DataParams(source="hub"))
    with pytest.raises(DataError, match="--data-dir"):
        prepare(TASK, DataParams(source="files"))
    with pytest.raises(DataError, match="no embedded generator None; there is: looks"):
        prepare(TASK, DataParams(source="embedded"))


def test_dev_and_internal_test_are_scored_together(folder: Path) -> None:
    dev, internal = run(folder), run(folder, evaluate_on="internal_test")
    both = run(folder, evaluate_on="dev_and_internal_test")
    assert both.evaluation.texts_a == dev.evaluation.texts_a + internal.evaluation.texts_a
    assert (
        both.evaluation.labels.tolist()
        == dev.evaluation.labels.tolist() + internal.evaluation.labels.tolist()
    )
    assert len(set(both.evaluation.ids)) == 280
    assert {i.split("/")[0] for i in both.evaluation.ids} == {"dev", "internal_test"}
    assert both.train == dev.train and both.slice == dev.slice


def test_parts_of_two_tasks_do_not_go_together(folder: Path) -> None:
    single = run(folder).evaluation
    pairs = Rows(("0",), ("a",), ("b",), single.labels[:1])
    with pytest.raises(ValueError, match="not rows of one task"):
        together({"one": single, "two": pairs})
