from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.errors import ArtifactError
from mase.evaluation.declaration import AVERAGE, TableParams
from mase.evaluation.headline import headline
from mase.evaluation.layout import notes
from mase.evaluation.summaries import CHANCE, CONSTANT, PLACEBO, SIGNIFICANT
from mase.evaluation.tables import Table, build_table

LABELS = np.random.default_rng(0).integers(2, size=300)
PLACEBO_ROW = {"label": "Random", "group": "control", "placebo": True}

Declare = Callable[..., TableParams]
Flipped = Callable[..., Callable[[int], np.ndarray]]


def built(study: Any, table: TableParams, **more: Any) -> Table:
    return build_table(table, study.cells, load=study.load, resamples=800, **more)


def two_rows(declare: Declare) -> TableParams:
    return declare(["looks"], [{"label": "Text", "group": "reference"}, {"label": "MASE"}])


def test_a_planted_difference_is_found(study: Any, declare: Declare, flipped: Flipped) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.30))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.10, 1))
    cell = built(study, two_rows(declare)).cells["MASE", "looks"]
    assert cell.n == cell.asked == 3
    assert cell.examples == 300
    assert cell.comparison is not None
    assert cell.comparison.difference == pytest.approx(0.2, abs=0.06)
    assert cell.comparison.low > 0.08
    assert cell.comparison.sign_flip is not None and cell.comparison.sign_flip < 0.01
    assert cell.holm_p is not None and cell.holm_p < 0.05
    assert SIGNIFICANT in cell.marks


def test_equal_rows_do_not_differ(study: Any, declare: Declare, flipped: Flipped) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2))
    comparison = built(study, two_rows(declare)).cells["MASE", "looks"].comparison
    assert comparison is not None
    assert (comparison.difference, comparison.low, comparison.high, comparison.p) == (0, 0, 0, 1)
    assert comparison.sign_flip == 1


def test_mean_deviation_and_seeds_are_those_of_the_files(study: Any, declare: Declare) -> None:
    def first_wrong(count: int) -> np.ndarray:
        return np.where(np.arange(300) < count, 1 - LABELS, LABELS)

    study.add("Text", "looks", LABELS, lambda seed: first_wrong(30 * seed), seeds=(1, 2, 3))
    study.add("MASE", "looks", LABELS, lambda seed: first_wrong(30), seeds=(1, 2, 3), done=(2,))
    table = built(study, two_rows(declare))
    text, mase = table.cells["Text", "looks"], table.cells["MASE", "looks"]
    assert text.scores == pytest.approx({1: 0.9, 2: 0.8, 3: 0.7})
    assert (text.mean, text.sd) == pytest.approx((0.8, 0.1))
    assert (mase.n, mase.asked, mase.sd, mase.interval) == (1, 3, None, None)
    assert sorted(table.frame["metric"].unique()) == ["accuracy", "constant_predictions"]
    accuracy = table.frame[(table.frame["row"] == "Text") & (table.frame["metric"] == "accuracy")]
    assert accuracy["value"].tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert sum(table.seconds.values()) == 40.0


def test_one_seed_each_gets_mcnemars_test_and_a_warning(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.3), seeds=(0,))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.1, 1), seeds=(0,))
    table = built(study, two_rows(declare))
    comparison = table.cells["MASE", "looks"].comparison
    assert comparison is not None and comparison.mcnemar is not None
    assert comparison.mcnemar < 0.001
    assert any("do not cover training noise" in note for note in table.notes)


def test_rows_at_chance_and_constant_predictions_are_marked(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    rows = [{"label": "Text", "group": "reference"}, {"label": "Guess"}, {"label": "Flat"}]
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.1))
    study.add("Guess", "looks", LABELS, flipped(LABELS, 0.5))
    study.add("Flat", "looks", LABELS, lambda seed: np.ones_like(LABELS))
    table = built(study, declare(["looks"], rows))
    assert CHANCE not in table.cells["Text", "looks"].marks
    assert CHANCE in table.cells["Guess", "looks"].marks
    assert {CHANCE, CONSTANT} <= set(table.cells["Flat", "looks"].marks)
    assert table.constants["looks"] == max(LABELS.mean(), 1 - LABELS.mean())
    assert any("at chance" in line for line in notes(table))


@pytest.mark.parametrize(("wrong", "marked"), [(0.10, True), (0.30, False)])
def test_a_gain_that_a_placebo_shows_is_marked(
    study: Any, declare: Declare, flipped: Flipped, wrong: float, marked: bool
) -> None:
    rows = [{"label": "Text", "group": "reference"}, PLACEBO_ROW, {"label": "MASE"}]
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.30))
    study.add("Random", "looks", LABELS, flipped(LABELS, wrong, 1))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.10, 2))
    table = built(study, declare(["looks"], rows))
    marks = table.cells["MASE", "looks"].marks
    assert SIGNIFICANT in marks
    assert (PLACEBO in marks) is marked
    assert PLACEBO not in table.cells["Random", "looks"].marks
    said = headline(table)[0]
    assert ("not established above a placebo" in said) is marked
    assert ("above every placebo" in said) is not marked


def test_a_gain_without_a_placebo_run_claims_no_cause(study: Any, declare: Declare, flipped: Flipped) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.30))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.10, 1))
    assert "no placebo was run" in headline(built(study, two_rows(declare)))[0]


def test_no_difference_comes_with_what_could_have_been_missed(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2, 1))
    said = headline(built(study, two_rows(declare)))[0]
    assert "no difference from Text established" in said
    assert "would often be missed" in said


def test_missing_cells_say_why(study: Any, declare: Declare, flipped: Flipped) -> None:
    rows = [
        {"label": "Text", "group": "reference"},
        {"label": "Later", "available": False, "overlays": (), "note": "later"},
        {"label": "Idle"},
        {"label": "MASE"},
    ]
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2), done=())
    study.add("Later", "looks", LABELS, None)
    study.add("Idle", "looks", LABELS, flipped(LABELS, 0.2), done=())
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2))
    table = built(study, declare(["looks"], rows))
    reasons = {row: cell.reason for (row, _), cell in table.cells.items()}
    assert reasons == {
        "Text": "not run", "Later": "not available", "Idle": "not run", "MASE": "reference not run",
    }  # fmt: skip
    assert table.cells["MASE", "looks"].n == 3
    assert headline(table) == ["MASE, Looks (synthetic): no comparison (reference not run)."]


def test_a_table_without_any_result_is_still_a_table(study: Any, declare: Declare, flipped: Flipped) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2), done=())
    table = built(
        study, two_rows(declare).model_copy(update={"rows": two_rows(declare).rows[:1], "primary": "Text"})
    )
    assert table.notes == ("No unit of this table is done.",)
    assert table.cells["Text", "looks"].reason == "not run"


def test_other_examples_than_the_references_are_not_compared(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2), ids=[f"test-{i}" for i in range(300)])
    cell = built(study, two_rows(declare)).cells["MASE", "looks"]
    assert cell.comparison is None
    assert cell.reason == "other examples"


def test_seeds_on_other_examples_are_an_error(study: Any, declare: Declare, flipped: Flipped) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2))
    path = study.root / study.cells[1].units[2].digest / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame.iloc[:-1].to_parquet(path)
    with pytest.raises(ArtifactError, match="other evaluation examples"):
        built(study, two_rows(declare))


@pytest.mark.parametrize("damage", ["missing", "broken", "repeated"])
def test_damaged_predictions_are_an_error_with_a_remedy(
    study: Any, declare: Declare, flipped: Flipped, damage: str
) -> None:
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.2), seeds=(0,))
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.2), seeds=(0,))
    path = study.root / study.cells[0].units[0].digest / "predictions.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "broken":
        path.write_bytes(b"PAR1 not really")
    else:
        frame = pd.read_parquet(path)
        frame.assign(id="same").to_parquet(path)
    with pytest.raises(ArtifactError, match="; delete "):
        built(study, two_rows(declare))


def test_the_average_is_over_the_shown_tasks_and_only_for_complete_rows(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    table = declare(
        ["looks", "sounds"], [{"label": "Text", "group": "reference"}, {"label": "Half"}, {"label": "MASE"}]
    )
    for task, wrong in (("looks", 0.3), ("sounds", 0.2)):
        study.add("Text", task, LABELS, flipped(LABELS, wrong))
        study.add("Half", task, LABELS, flipped(LABELS, wrong), done=(0, 1, 2) if task == "looks" else (0,))
        study.add("MASE", task, LABELS, flipped(LABELS, 0.1, 1))
    found = built(study, table)
    assert found.columns == ("looks", "sounds", AVERAGE)
    text, mase = found.cells["Text", AVERAGE], found.cells["MASE", AVERAGE]
    parts = [found.cells["Text", task].mean for task in ("looks", "sounds")]
    assert text.mean == pytest.approx(np.mean(parts))
    assert mase.comparison is not None
    assert mase.comparison.difference == pytest.approx(mase.mean - text.mean)
    assert mase.comparison.low > 0
    assert (found.cells["Half", AVERAGE].n, found.cells["Half", AVERAGE].reason) == (0, "seeds differ")


def test_holm_runs_over_the_rows_of_a_column(study: Any, declare: Declare, flipped: Flipped) -> None:
    rows = [{"label": "Text", "group": "reference"}, *({"label": f"R{i}"} for i in range(4))]
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.30))
    for i in range(4):
        study.add(f"R{i}", "looks", LABELS, flipped(LABELS, 0.24, i + 1))
    cells = [built(study, declare(["looks"], rows)).cells[f"R{i}", "looks"] for i in range(4)]
    raw = [cell.comparison.p for cell in cells if cell.comparison]
    adjusted = [cell.holm_p for cell in cells if cell.holm_p is not None]
    assert min(adjusted) == pytest.approx(min(1.0, 4 * min(raw)))


def test_the_footer_names_metrics_counts_stand_ins_and_small_columns(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    labels = LABELS[:150]
    study.add("Text", "looks", labels, flipped(labels, 0.2), profile="demo")
    study.add("MASE", "looks", labels, flipped(labels, 0.1), profile="demo")
    table = built(study, two_rows(declare), notes=["Profile demo: too small for conclusions."])
    text = "\n".join(notes(table))
    assert table.is_small("looks")
    assert "fewer than 200 evaluation examples" in text
    assert "accuracy on 150 examples" in text
    assert "too small for conclusions" in text
    assert "small trained stand-ins" in text
    assert "all-MiniLM-L6-v2 was itself trained on" in text


def test_a_regression_cell_is_the_mean_of_its_correlations(study: Any, declare: Declare) -> None:
    labels = np.random.default_rng(1).random(250) * 5

    def noisy(scale: float) -> Callable[[int], np.ndarray]:
        return lambda seed: labels + np.random.default_rng(seed).normal(size=250) * scale

    table = declare(["stsb"], [{"label": "Text", "group": "reference"}, {"label": "Flat"}, {"label": "MASE"}])
    settings = {"profile": "local", "overrides": ["data.dir=nowhere"]}
    study.add("Text", "stsb", labels, noisy(2.0), **settings)
    study.add("Flat", "stsb", labels, lambda seed: np.full(250, 2.5), **settings)
    study.add("MASE", "stsb", labels, noisy(0.8), **settings)
    found = built(study, table)
    mase, flat = found.cells["MASE", "stsb"], found.cells["Flat", "stsb"]
    assert mase.comparison is not None
    assert mase.comparison.low > 0
    assert mase.comparison.sign_flip is None
    assert flat.mean == 0.0
    assert {CHANCE, CONSTANT} <= set(flat.marks)
    assert found.constants["stsb"] == 0.0
