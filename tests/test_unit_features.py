"""The features of a unit's kept model, on a tiny unit that is really trained."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mase import unit_features as module
from mase.data import Rows
from mase.errors import MissingWeightsError
from mase.evaluation.embedding_numbers import modality_numbers
from mase.params import TaskParams, load_params
from mase.unit_features import classes_of, one_text_each, pictured_features, unit_features
from mase.units import Unit, task_data, train

QUICK = ("training.max_steps=2", "allocation.iterations=2")


def unit_of(*overlays: str, seed: int = 0) -> Unit:
    params = load_params("looks", profile="smoke", overlays=overlays, overrides=QUICK, seed=seed)
    return Unit(params=params, label=overlays[0])


def test_mase_and_mpb_give_the_same_texts_in_their_own_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    mase, mpb = unit_of("methods/mase"), unit_of("methods/mpb")
    for unit in (mase, mpb):
        train(unit, keep_model=True)
    summed, side_by_side = unit_features(mase), unit_features(mpb)
    rows = task_data(mase.params.task, mase.params.data).evaluation
    assert len(summed) == len(side_by_side) == len(rows)
    assert np.array_equal(summed.classes, side_by_side.classes)  # type: ignore[arg-type]
    assert sorted(summed.classes.tolist()) == sorted(rows.labels.tolist())  # type: ignore[union-attr]
    assert summed.class_names == mase.params.task.labels

    assert (summed.space, side_by_side.space) == ("summed", "concatenated")
    assert {v.shape for v in summed.modalities.values()} == {(48, 32)}
    assert summed.contrastive is not None and summed.contrastive["text"].shape == (48, 128)
    parts = np.concatenate(list(side_by_side.modalities.values()), axis=1)
    assert np.array_equal(parts, side_by_side.together)
    assert {n.space for n in modality_numbers([side_by_side], resamples=10)} == {"concatenated"}

    monkeypatch.setattr(module, "load_pretrained", None)  # worked out once
    assert np.array_equal(unit_features(mase).together, summed.together)
    shown = pictured_features({"MPB": [mpb], "Full MASE": [mase], "Not trained": [unit_of("methods/text")]})
    assert [row.label for row in shown] == ["MPB", "Full MASE"]


def test_a_unit_without_a_model_says_how_to_get_one() -> None:
    unit = unit_of("methods/text")
    train(unit)
    with pytest.raises(MissingWeightsError, match="keep_model"):
        unit_features(unit)


def rows_of(ids: tuple[str, ...], **more: Any) -> Rows:
    options = more.get("options", 1)
    texts = ("x",) * (len(ids) * options)
    labels = more.pop("labels", np.zeros(len(ids), np.int64))
    return Rows(ids, texts, texts if options > 1 else None, labels, **more)


def test_every_example_gives_one_of_its_texts() -> None:
    rows = rows_of(("a", "b/c", "d"))
    windows = rows_of(("a/0", "a/1", "b/c/0", "b/c/1", "b/c/2", "d"))
    chosen = one_text_each(rows, windows)
    assert [int(i) for i in chosen] == sorted(chosen)
    assert chosen[0] in (0, 1) and chosen[1] in (2, 3, 4) and chosen[2] == 5
    question = rows_of(("a", "b"), options=3)
    first, second = one_text_each(question, question)
    assert first in (0, 1, 2) and second in (3, 4, 5)


def test_classes_are_labels_right_choices_or_kinds() -> None:
    def task(**values: Any) -> TaskParams:
        return SimpleNamespace(labels=("no", "yes"), **values)  # type: ignore[return-value]

    ids, names = classes_of(task(family="classification"), rows_of(("a", "b"), labels=np.array([1, 0])))
    assert ids is not None and ids.tolist() == [1, 0] and names == ("no", "yes")
    ids, names = classes_of(
        task(family="multiple_choice"), rows_of(("a", "b"), labels=np.array([2, 0]), options=3)
    )
    assert ids is not None and ids.tolist() == [0, 0, 1, 1, 0, 0] and names[1] == "right choice"
    ids, names = classes_of(task(family="span"), rows_of(("a", "b"), strata=("why", "how")))
    assert ids is not None and ids.tolist() == [1, 0] and names == ("how", "why")
    assert classes_of(task(family="regression"), rows_of(("a",))) == (None, ())
