"""Rows that average another row's seeds: hand-worked means, which seeds, and what is asked of whom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.errors import ParamsError
from mase.evaluation.declaration import TableParams, load_table
from mase.evaluation.ensemble import averaged, members
from mase.evaluation.evidence import Evidence, gather
from mase.evaluation.plan import Cell, plan, unique_units
from mase.evaluation.tables import Table, build_table
from mase.params import available, validate
from tests.evaluation.conftest import Study

ROWS: list[dict[str, Any]] = [
    {"label": "None", "group": "reference"},
    {"label": "Full", "overlays": ("methods/mase",)},
]
RIVAL = {"label": "Two seeds", "group": "control", "overlays": (), "ensemble": {"of": "None", "seeds": 2}}


def table_of(declare: Callable[..., TableParams], *columns: str, size: int = 2) -> TableParams:
    rival = {**RIVAL, "ensemble": {"of": "None", "seeds": size}}
    return declare(columns, [ROWS[0], rival, ROWS[1]])


def add(study: Study, labels: Any, shares: dict[int, Any], column: str = "looks", **more: Any) -> Cell:
    """Add the row None, whose seed s gives class 1 the probability shares[s]; return its ensemble's cell."""
    first = {seed: np.asarray(values) for seed, values in shares.items()}

    def numbers(seed: int) -> dict[str, np.ndarray]:
        return {"probability_0": 1 - first[seed], "probability_1": first[seed]}

    def predict(seed: int) -> np.ndarray:
        return (first[seed] > 0.5).astype(np.int64)

    more = {"seeds": tuple(shares), "numbers": numbers, **more}
    study.add("None", column, np.asarray(labels), predict, **more)
    study.cells.append(Cell("Two seeds", column, study.cells[-1].units, ensemble=2))
    return study.cells[-1]


def test_each_seed_goes_with_the_next_and_the_last_with_the_first() -> None:
    assert members([0, 1, 2], 2) == {0: (0, 1), 1: (1, 2), 2: (2, 0)}
    assert members([4, 7], 2) == {4: (4, 7), 7: (7, 4)}
    assert members([0, 1, 2], 3) == {0: (0, 1, 2), 1: (1, 2, 0), 2: (2, 0, 1)}
    assert members([0, 1], 1) == {0: (0,), 1: (1,)}
    assert members([0], 2) == {}


def test_probabilities_are_averaged_not_votes(study: Study) -> None:
    # Example 0: .9 and .3 -> .6, class 1. Example 1: .4 and .2 -> .3, class 0. Example 2: .1 and .6 -> .35.
    # Seed 2 is sure of class 1 everywhere: with seed 1 it gives .65, .6, .8; with seed 0 .95, .7, .55.
    shares = {0: [0.9, 0.4, 0.1], 1: [0.3, 0.2, 0.6], 2: [1.0, 1.0, 1.0]}
    found = gather(add(study, [1, 0, 1], shares), study.load)
    assert isinstance(found, Evidence)
    assert found.seeds == (0, 1, 2)
    assert found.predictions.tolist() == [[1, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert [score["accuracy"] for score in found.scores] == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    first, second, third = (unit.digest for unit in study.cells[0].units)
    assert found.digests == (f"{first}+{second}", f"{second}+{third}", f"{third}+{first}")
    assert found.seconds == {first: 10.0, second: 10.0, third: 10.0}


def test_scores_are_averaged() -> None:
    ids = {"id": ["a", "b"], "label": [1.0, 4.0]}
    frames = [pd.DataFrame({**ids, "prediction": values}) for values in ([1.0, 5.0], [2.0, 4.5])]
    found = averaged(frames)
    assert found["prediction"].tolist() == [1.5, 4.75] and found["label"].tolist() == [1.0, 4.0]
    assert averaged(frames[:1]) is frames[0]


def test_of_equal_shares_the_first_class_is_taken_and_classes_keep_their_numbers() -> None:
    ids = {"id": ["a", "b"], "label": [0, 2]}
    frames = [
        pd.DataFrame({**ids, "prediction": 0, "probability_0": a, "probability_1": b, "probability_2": c})
        for a, b, c in (([0.5, 0.1], [0.25, 0.1], [0.25, 0.8]), ([0.25, 0.2], [0.5, 0.7], [0.25, 0.1]))
    ]
    found = averaged(frames)
    assert found["prediction"].tolist() == [0, 2]
    assert found["probability_2"].tolist() == pytest.approx([0.25, 0.45])


def test_a_regression_tasks_ensemble_is_scored_by_its_metric(study: Study) -> None:
    labels = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    off = {0: [0.5, -0.5, 0.5, -0.5], 1: [-0.5, 0.5, -0.5, 0.5]}
    source = ("data.source=files", "data.dir=unread")
    study.add("None", "stsb", labels, lambda s: labels + np.array(off[s]), seeds=(0, 1), overrides=source)
    found = gather(Cell("Two seeds", "stsb", study.cells[0].units, ensemble=2), study.load)
    assert isinstance(found, Evidence)
    assert found.predictions.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]
    assert found.main_scores == pytest.approx([1.0, 1.0])


def test_what_is_not_there_is_said(study: Study) -> None:
    labels, shares = [0, 1], {0: [0.1, 0.9], 1: [0.2, 0.8], 2: [0.3, 0.7]}
    cell = add(study, labels, shares, done=(0, 1))
    found = gather(cell, study.load)
    assert isinstance(found, Evidence) and found.seeds == (0,)
    alone = add(study, labels, {0: [0.1, 0.9]}, column="sounds")
    assert gather(alone, study.load) == "needs 2 seeds"
    assert gather(add(study, labels, shares, column="moves", done=(0,)), study.load) == "not run"
    study.add(
        "None", "commongen", np.arange(2), lambda _: np.arange(2), seeds=(0, 1), done=(), overrides=SOURCE
    )
    other = gather(Cell("Two seeds", "commongen", study.cells[-1].units, ensemble=2), study.load)
    assert other == "not available (an ensemble is of probabilities or scores; commongen is generation)"


SOURCE = ("data.source=files", "data.dir=unread")


def test_folds_of_a_seed_are_joined_before_seeds_are_averaged(study: Study) -> None:
    shares = {0: [0.9, 0.4, 0.1, 0.2], 1: [0.3, 0.2, 1.0, 0.2]}
    found = gather(add(study, [1, 0, 1, 0], shares, folds=2), study.load)
    assert isinstance(found, Evidence)
    assert found.predictions.tolist() == [[1, 0, 1, 0]] * 2
    assert found.digests[0].count("+") == 3


def test_in_a_table_it_is_compared_averaged_and_marked_like_any_row(
    study: Study, declare: Callable[..., TableParams]
) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 1000)
    for column in ("looks", "sounds"):
        noisy = {s: np.clip(labels * 0.3 + 0.35 + generator.normal(0, 0.3, 1000), 0, 1) for s in range(3)}
        add(study, labels, noisy, column=column)
        study.add("Full", column, labels, lambda _: labels)
    found: Table = build_table(
        table_of(declare, "looks", "sounds"), study.cells, load=study.load, resamples=200
    )
    for column in ("looks", "sounds"):
        cell = found.cells["Two seeds", column]
        assert cell.n == 3 and cell.comparison is not None and cell.holm_p is not None
        assert cell.mean > found.cells["None", column].mean + 0.03
        assert "significant" in cell.marks and "chance" not in cell.marks
    average = found.cells["Two seeds", "average"]
    both = [found.cells["Two seeds", column].mean for column in ("looks", "sounds")]
    assert average.mean == pytest.approx(np.mean(both)) and average.comparison is not None
    assert sum(found.seconds.values()) == 12 * 10.0  # each unit once: 2 rows x 2 columns x 3 seeds


def test_it_trains_nothing_of_its_own(declare: Callable[..., TableParams]) -> None:
    table = table_of(declare, "looks")
    none, rival, full = plan(table, profile="smoke", seeds=[0, 1, 2])
    assert (none.ensemble, rival.ensemble, full.ensemble) == (1, 2, 1)
    assert [u.digest for u in rival.units] == [u.digest for u in none.units]
    assert [u.label for u in rival.units] == [u.label for u in none.units]
    assert len(unique_units([none, rival])) == 3


def content(**changes: Any) -> dict[str, Any]:
    rows = [{**ROWS[0], "overlays": ["methods/text"]}, {**RIVAL, **changes}]
    return {
        "name": "t", "title": "T", "columns": ["looks"], "reference": "None", "primary": "None", "rows": rows,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ensemble": {"of": "Nobody"}}, "ensemble of row 'Two seeds' names 'Nobody'; there is: None"),
        ({"ensemble": {"of": "Two seeds"}}, "names 'Two seeds'"),
        ({"ensemble": {"of": "None", "seeds": 1}}, "greater than or equal to 2"),
        ({"overlays": ["methods/text"]}, "an ensemble of another row's models, .* has no overlays"),
        ({"backbone": "minilm"}, "has no backbone"),
        ({"available": False, "note": "later"}, "so it is available"),
    ],
)
def test_a_wrong_ensemble_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParamsError, match=problem):
        validate(TableParams, content(**changes), "t.yaml")


def test_the_row_that_others_are_compared_with_must_train() -> None:
    with pytest.raises(ParamsError, match="reference 'Two seeds' is an ensemble"):
        validate(TableParams, {**content(), "reference": "Two seeds"}, "t.yaml")


def test_the_papers_glue_tables_have_the_rival() -> None:
    having = {
        name: [(row.label, row.group) for row in load_table(name).rows if row.ensemble is not None]
        for name in available("tables")
    }
    rival = [("Text only, two seeds averaged", "control")]
    assert {name for name, rows in having.items() if rows == rival} >= {"table1", "table3", "table6"}
