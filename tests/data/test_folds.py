"""Folds: every row of the training file is evaluated on once, and no group is on both sides."""

from pathlib import Path

import numpy as np
import pytest

from mase.data import Rows, TaskData, prepare
from mase.errors import DataError
from mase.params import DataParams, TaskParams
from tests.data.toy import content

FOLDS = 4
LABELS = ("red", "green")


def task_of(*, dev: str | None) -> TaskParams:
    files = {"train": "train.csv", "dev": dev, "columns": {"text_a": "text", "label": "label"}}
    return TaskParams.model_validate(content("toy", LABELS, files=files))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [f"a thing {i % 30},{LABELS[i % 30 % 3 == 0]}" for i in range(120)]  # every text four times
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return tmp_path


def fold(folder: Path, number: int, *, dev: str | None = "absent.csv", **changes: object) -> TaskData:
    settings = {"source": "files", "dir": str(folder), "folds": FOLDS, "fold": number, "slice_min": 8}
    return prepare(task_of(dev=dev), DataParams.model_validate({**settings, **changes}))


@pytest.mark.parametrize("dev", ["absent.csv", None])
def test_the_folds_cover_the_training_file_once(folder: Path, dev: str | None) -> None:
    parts = [fold(folder, number, dev=dev) for number in range(FOLDS)]
    evaluated = [name for part in parts for name in part.evaluation.ids]
    assert len(evaluated) == len(set(evaluated)) == 120
    for part in parts:
        trained = [*part.train.ids, *part.slice.ids]
        assert sorted([*trained, *part.evaluation.ids]) == sorted(evaluated)  # nothing is kept aside
        assert 24 <= len(part.evaluation) <= 36
        assert part.counts["internal_test"] == len(part.evaluation)
    assert len({part.digest for part in parts}) == FOLDS


def test_what_belongs_together_is_in_one_fold(folder: Path) -> None:
    for number in range(FOLDS):
        part = fold(folder, number)
        assert not set(part.evaluation.texts_a) & {*part.train.texts_a, *part.slice.texts_a}
        assert not set(part.train.texts_a) & set(part.slice.texts_a)


def test_every_fold_keeps_the_share_of_labels(folder: Path) -> None:
    shares = [fold(folder, number).evaluation.labels.mean() for number in range(FOLDS)]
    assert np.ptp(shares) <= 0.2
    assert np.mean(shares) == pytest.approx(1 / 3, abs=0.05)


def test_groups_are_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    nouns = tuple(f"noun {i % 7}" for i in range(70))
    rows = Rows(
        ids=tuple(f"r{i}" for i in range(70)),
        texts_a=tuple(f"text {i}" for i in range(70)),
        texts_b=None,
        labels=np.arange(70) % 2,
        groups=nouns,
    )
    monkeypatch.setattr("mase.data.files.read_split", lambda task, folder, split: (rows, "planted"))
    for number in range(FOLDS):
        data = DataParams.model_validate({"source": "files", "folds": FOLDS, "fold": number, "slice_min": 8})
        part = prepare(task_of(dev=None), data)
        sides = [set(rows.groups or ()) for rows in (part.evaluation, part.train, part.slice)]
        assert sides[0] and not sides[0] & (sides[1] | sides[2])


def test_a_study_is_scored_outside_the_fold(folder: Path) -> None:
    tuned, scored = fold(folder, 1, evaluate_on="tune"), fold(folder, 1)
    assert not set(tuned.evaluation.ids) & set(scored.evaluation.ids)
    assert not set(tuned.train.ids) & set(scored.evaluation.ids)


def test_without_folds_the_development_file_is_needed(folder: Path) -> None:
    with pytest.raises(DataError, match="absent.csv"):
        fold(folder, 0, folds=None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"folds": 4, "fold": 4}, "fold 4 is not one of folds"),
        ({"fold": 1}, "fold 1 is not one of folds"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"folds": 4, "evaluate_on": "internal_test"}, "no internal_test"),
    ],
)
def test_wrong_folds_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DataParams.model_validate(changes)
