"""Flips and slices of two rows, counted by hand on the real rows of a task."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mase.errors import DataError, ParamsError
from mase.evaluation.flips import Example, compare_cells
from mase.evaluation.slices import entity_counts
from mase.identity import task_data
from mase.params import load_params


@pytest.fixture
def rows() -> Any:
    params = load_params("looks", profile="smoke")
    return task_data(params.task, params.data).evaluation


def two_rows(study: Any, rows: Any, first: np.ndarray, second: np.ndarray, **more: Any) -> tuple[Any, Any]:
    """Add two rows whose seeds all predict the same; `first` and `second` say what is wrong."""
    labels = np.asarray(rows.labels)
    for name, wrong in (("A", first), ("B", second)):
        said = np.where(wrong, 1 - labels, labels)
        study.add(name, "looks", labels, lambda seed, said=said: said, ids=rows.ids, **more)
    return study.cells[0], study.cells[1]


def test_flips_are_counted_with_their_texts(study: Any, rows: Any) -> None:
    wrong_first, wrong_second = np.zeros(48, bool), np.zeros(48, bool)
    wrong_first[:10] = True  # of these the first 7 become right
    wrong_second[7:10] = wrong_second[40:42] = True
    found = compare_cells(*two_rows(study, rows, wrong_first, wrong_second), study.load)
    assert {flip.id for flip in found.to_right} == set(rows.ids[:7])
    assert {flip.id for flip in found.to_wrong} == set(rows.ids[40:42])
    assert (found.both_right, found.both_wrong, found.undecided) == (36, 3, 0)
    assert found.comparison.difference == pytest.approx(5 / 48)
    texts = dict(zip(rows.ids, rows.pairs(), strict=True))
    for flip in (*found.to_right, *found.to_wrong):
        assert flip.example.texts == texts[flip.id]
        label = np.asarray(rows.labels)[list(rows.ids).index(flip.id)]
        assert flip.example.label == load_params("looks", profile="smoke").task.labels[label]
    assert all((flip.first, flip.second) == (0.0, 1.0) for flip in found.to_right)


def test_slices_part_the_examples_and_add_up(study: Any, rows: Any) -> None:
    labels = np.asarray(rows.labels)
    found = compare_cells(*two_rows(study, rows, labels == 1, np.zeros(48, bool)), study.load)
    parts = {by: [s for s in found.slices if s.by == by] for by in ("label", "words", "entities")}
    assert all(sum(s.examples for s in slices) == 48 for slices in parts.values())
    names = load_params("looks", profile="smoke").task.labels
    assert {s.name: s.difference for s in parts["label"]} == {names[0]: 0.0, names[1]: 1.0}
    for slices in parts.values():
        assert sum(s.difference * s.examples for s in slices) / 48 == pytest.approx(0.5)
    for one in found.slices:
        assert (one.low is None) == (one.examples < 10)
        assert one.low is None or one.high is None or one.low <= one.difference <= one.high


def test_seeds_decide_by_majority_and_a_tie_is_no_flip(study: Any, rows: Any) -> None:
    labels = np.asarray(rows.labels)
    study.add("A", "looks", labels, lambda seed: 1 - labels, ids=rows.ids, seeds=(0, 1))
    study.add("B", "looks", labels, lambda seed: labels if seed else 1 - labels, ids=rows.ids, seeds=(0, 1))
    study.add("C", "looks", labels, lambda seed: 1 - labels if seed == 2 else labels, ids=rows.ids)
    first, tied, mostly = study.cells
    assert compare_cells(first, tied, study.load).undecided == 48
    found = compare_cells(first, mostly, study.load)
    assert len(found.to_right) == 48 and found.to_right[0].second == pytest.approx(2 / 3)
    assert found.seeds == (2, 3)


def test_a_score_is_right_within_a_tenth_of_the_range(study: Any, shared_data: Path) -> None:
    overrides = ("data.source=files", f"data.dir={shared_data}", "data.max_eval_rows=60")
    params = load_params("stsb", profile="local", overrides=overrides)
    rows = task_data(params.task, params.data).evaluation
    labels = np.asarray(rows.labels, dtype=np.float64)
    near, far = labels + 0.49, labels + 0.51  # scores go from 0 to 5
    for name, said in (("A", far), ("B", near)):
        study.add(
            name,
            "stsb",
            labels,
            lambda seed, said=said: said,
            ids=rows.ids,
            profile="local",
            overrides=overrides,
        )
    found = compare_cells(study.cells[0], study.cells[1], study.load)
    assert len(found.to_right) == 60 and not found.to_wrong
    assert found.score == "minus the absolute error"
    assert all(s.difference == pytest.approx(0.02, abs=1e-6) for s in found.slices)
    by = [s for s in found.slices if s.by == "label"]
    assert len(by) == 3 and by[0].name.startswith("0 to ")


def test_what_cannot_be_compared_says_why(study: Any, rows: Any) -> None:
    labels = np.asarray(rows.labels)
    study.add("A", "looks", labels, lambda seed: labels, ids=rows.ids)
    study.add("B", "looks", labels, lambda seed: labels, ids=rows.ids, done=())
    study.add("C", "looks", 1 - labels, lambda seed: labels, ids=rows.ids)
    study.add("D", "moves", labels, lambda seed: labels, ids=rows.ids)
    study.add("E", "looks", labels, lambda seed: labels, ids=[f"other-{i}" for i in range(48)])
    study.add("F", "looks", labels, lambda seed: labels, ids=[f"other-{i}" for i in range(48)])
    a, b, c, d, e, f = study.cells
    with pytest.raises(DataError, match="B on looks: not run"):
        compare_cells(a, b, study.load)
    with pytest.raises(DataError, match="other examples"):
        compare_cells(a, c, study.load)
    with pytest.raises(ParamsError, match="A is of task looks, D of moves"):
        compare_cells(a, d, study.load)
    with pytest.raises(DataError, match="not those that the units were scored on"):
        compare_cells(e, f, study.load)


def test_entities_are_those_of_all_texts_of_an_example() -> None:
    params = load_params("looks", profile="smoke", overrides=("graph.parser=rules",))
    texts = [
        ("A dog barks.",),
        ("A dog barks.", "A cat sleeps."),
        ("A man, a boy, a dog and a cat wait.",),
        ("It.",),
    ]
    assert entity_counts(params, [Example(t, "") for t in texts]) == ["1", "2", "3 or more", "0"]
