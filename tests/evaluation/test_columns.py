"""Columns that name a metric, averages of them, folds, and metrics that are not there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.errors import ArtifactError
from mase.evaluation.declaration import AVERAGE, TableParams
from mase.evaluation.headline import headline
from mase.evaluation.layout import notes
from mase.evaluation.metrics.means import resampled_ratio
from mase.evaluation.metrics.metric import Metric
from mase.evaluation.metrics.scoring import REGISTRY
from mase.evaluation.plan import Cell
from mase.evaluation.render import to_markdown
from mase.evaluation.summaries import CHANCE, CONSTANT
from mase.evaluation.tables import Table, build_table

LABELS = np.random.default_rng(0).integers(2, size=300)

Declare = Callable[..., TableParams]
Flipped = Callable[..., Callable[[int], np.ndarray]]


def built(study: Any, table: TableParams) -> Table:
    return build_table(table, study.cells, load=study.load, resamples=800)


PAIRS = {"profile": "local", "overrides": ["data.dir=nowhere"]}


def test_columns_of_one_task_show_its_metrics_and_an_average_may_use_hidden_ones(
    study: Any, declare: Declare, flipped: Flipped
) -> None:
    table = declare(
        ["mrpc", "mrpc:f1", "sst2"],
        [{"label": "Text", "group": "reference"}, {"label": "MASE"}],
        averages={AVERAGE: ("mrpc", "sst2"), "accuracy": ("mrpc:accuracy", "sst2")},
        titles={"mrpc:f1": "F1"},
    )
    for row, wrong in (("Text", 0.3), ("MASE", 0.1)):
        for column in table.columns:
            study.add(row, column, LABELS, flipped(LABELS, wrong, len(row)), **PAIRS)
    found = built(study, table)
    assert found.columns == ("mrpc", "mrpc:f1", "sst2", AVERAGE, "accuracy")
    assert [found.title(column) for column in found.columns] == [
        "MRPC", "F1", "SST-2", "Average", "Average, accuracy",
    ]  # fmt: skip
    assert [found.metric(column) for column in found.columns[:3]] == ["acc_and_f1", "f1", "accuracy"]
    assert found.constants["mrpc:accuracy"] < found.constants["mrpc"]

    def mean(row: str, metric: str, column: str = "mrpc") -> float:
        frame = found.frame
        mine = (frame["row"] == row) & (frame["column"] == column) & (frame["metric"] == metric)
        return float(frame[mine]["value"].mean())

    text = {column: found.cells["Text", column].mean for column in found.columns}
    sst2 = mean("Text", "accuracy", "sst2")
    assert text["mrpc:f1"] == pytest.approx(mean("Text", "f1"))
    assert text[AVERAGE] == pytest.approx((mean("Text", "acc_and_f1") + sst2) / 2)
    assert text["accuracy"] == pytest.approx((mean("Text", "accuracy") + sst2) / 2)
    assert set(found.frame[found.frame["column"] == "mrpc:f1"]["metric"]) == {"f1"}
    comparison = found.cells["MASE", "accuracy"].comparison
    assert comparison is not None and comparison.low > 0
    assert headline(found)[0].startswith("MASE, mean of 2 tasks: ")
    measured = next(line for line in found.notes if line.startswith("Measured: "))
    assert "MRPC: acc_and_f1, f1, accuracy on 300 examples" in measured


def test_columns_of_one_task_are_resampled_together(study: Any, declare: Declare, flipped: Flipped) -> None:
    rows = [{"label": "Text", "group": "reference"}, {"label": "MASE"}]
    table = declare(["sst2", "sst2:accuracy"], rows)
    for row, wrong in (("Text", 0.3), ("MASE", 0.2)):
        for column in table.columns:
            study.add(row, column, LABELS, flipped(LABELS, wrong, len(row)), **PAIRS)
    found = built(study, table)
    single, both = (found.cells["MASE", column].comparison for column in ("sst2", AVERAGE))
    assert single is not None and both is not None
    # The same column twice: its average knows no more than the column.
    assert (both.low, both.high, both.p) == pytest.approx((single.low, single.high, single.p))


def test_an_average_is_over_what_is_shown_of_it(study: Any, declare: Declare, flipped: Flipped) -> None:
    averages = {AVERAGE: ("mrpc", "sst2"), "accuracy": ("mrpc:accuracy", "sst2")}
    table = declare(["mrpc", "sst2"], [{"label": "Text", "group": "reference"}], averages=averages)
    study.add("Text", "mrpc", LABELS, flipped(LABELS, 0.2), **PAIRS)
    assert built(study, table).columns == ("mrpc",)
    none = table.model_copy(update={"averages": {}})
    study.add("Text", "sst2", LABELS, flipped(LABELS, 0.2), **PAIRS)
    assert built(study, none).columns == ("mrpc", "sst2")


def test_folds_are_joined_to_the_whole_data_set(study: Any, declare: Declare, flipped: Flipped) -> None:
    table = declare(
        ["looks"], [{"label": "Text", "group": "reference"}, {"label": "MASE"}], folds={"looks": 4}
    )
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.3), folds=4)
    study.add("MASE", "looks", LABELS, flipped(LABELS, 0.1, 1), folds=4)
    found = built(study, table)
    cell = found.cells["MASE", "looks"]
    whole = {seed: float((flipped(LABELS, 0.1, 1)(seed) == LABELS).mean()) for seed in (0, 1, 2)}
    assert cell.scores == pytest.approx(whole)
    assert (cell.n, cell.asked, cell.examples) == (3, 3, LABELS.size)
    assert cell.comparison is not None and cell.comparison.low > 0
    assert sum(found.seconds.values()) == 2 * 3 * 4 * 10.0
    assert any("4-fold cross-validation" in line for line in found.notes)


def test_a_seed_without_one_of_its_folds_has_no_score(study: Any, declare: Declare, flipped: Flipped) -> None:
    table = declare(["looks"], [{"label": "Text", "group": "reference"}], folds={"looks": 4})
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.3), folds=4)
    del study.results[study.cells[0].units[5].digest]
    cell = built(study, table).cells["Text", "looks"]
    assert (sorted(cell.scores), cell.asked) == ([0, 2], 3)


def test_folds_that_share_an_example_are_an_error(study: Any, declare: Declare, flipped: Flipped) -> None:
    table = declare(["looks"], [{"label": "Text", "group": "reference"}], folds={"looks": 2})
    study.add("Text", "looks", LABELS, flipped(LABELS, 0.3), folds=2, seeds=(0,))
    first, second = (study.results[unit.digest].folder for unit in study.cells[0].units)
    frame = pd.read_parquet(first / "predictions.parquet")
    frame.to_parquet(second / "predictions.parquet")
    with pytest.raises(ArtifactError, match="another fold predicts as well"):
        built(study, table)


def test_a_metric_that_was_not_computed_and_missing_data_say_why(
    study: Any, declare: Declare, flipped: Flipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy = REGISTRY["classification", "accuracy"]
    absent = replace(accuracy, name="java", columns=("java",), unavailable=lambda: "not computed (no java)")
    monkeypatch.setitem(REGISTRY, ("classification", "java"), absent)
    table = declare(["looks", "looks:java"], [{"label": "Text", "group": "reference"}, {"label": "Lost"}])
    for column in table.columns:
        study.add("Text", column, LABELS, flipped(LABELS, 0.3))
        study.cells.append(Cell("Lost", column, (), "no file x\n  put it there"))
    found = built(study, table)
    assert found.cells["Text", "looks"].n == 3
    assert found.cells["Text", "looks:java"].reason == "not computed (no java)"
    assert found.cells["Text", AVERAGE].reason == "incomplete"
    assert found.cells["Lost", "looks"].reason == "no data"
    assert "no data: no file x put it there" in found.notes
    assert not any("java" in line for line in headline(found))
    assert "looks:java" not in " ".join(notes(found))
    long = replace(absent, unavailable=lambda: "not computed (no jar in a folder of a long name)")
    monkeypatch.setitem(REGISTRY, ("classification", "java"), long)
    assert "Looks (synthetic), java: not computed (no jar in a folder of a long name)." in notes(
        built(study, table)
    )
    assert "| not computed |" in to_markdown(built(study, table))
    monkeypatch.setitem(REGISTRY, ("classification", "java"), replace(absent, unavailable=lambda: None))
    found = built(study, table)
    lacking = ", ".join(unit.digest[:8] for unit in study.cells[0].units)
    assert found.cells["Text", "looks:java"].reason == (
        f"not computed (its program was missing when scored; delete units {lacking} and run again)"
    )
    assert f"delete units {lacking} and run again)." in " ".join(notes(found))


def test_several_columns_of_the_predictions_make_one_metric(
    study: Any, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Share of the asked that are right; the constant of one row is as good as the row."""

    def value(labels: np.ndarray, columns: np.ndarray) -> float:
        return float((columns[:, 0] * columns[:, 1]).sum() / columns[:, 1].sum())

    def resampled(labels: np.ndarray, columns: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return resampled_ratio(columns[..., 0] * columns[..., 1], columns[0, :, 1], counts)

    asked = np.arange(300) % 3 == 0

    def right(seed: int, share: float) -> np.ndarray:
        return (np.random.default_rng(seed).random(300) < share).astype(float)

    metric = Metric("ratio", "span", value, resampled, columns=("right", "asked"))
    monkeypatch.setitem(REGISTRY, ("span", "ratio"), metric)
    settings = {
        "profile": "local",
        "overrides": ["data.dir=x", "task.metrics=[ratio]", "task.main_metric=ratio"],
    }
    table = declare(["squad_v2"], [{"label": "Text", "group": "reference"}, {"label": "MASE"}])
    for row, share, constant in (("Text", 0.5, 0.5), ("MASE", 0.9, 0.5)):
        study.add(
            row,
            "squad_v2",
            np.zeros(300, int),
            lambda seed: np.array([f"answer {i}" for i in range(300)]),
            numbers=lambda seed, share=share, constant=constant: {
                "right": right(seed, share),
                "constant_right": right(9, constant),
                "asked": asked.astype(float),
            },
            **settings,
        )
    found = built(study, table)
    text, mase = found.cells["Text", "squad_v2"], found.cells["MASE", "squad_v2"]
    assert mase.mean == pytest.approx(np.mean([right(seed, 0.9)[asked].mean() for seed in (0, 1, 2)]))
    assert mase.comparison is not None and mase.comparison.low > 0
    assert found.constants["squad_v2"] == right(9, 0.5)[asked].mean()
    assert (CHANCE in text.marks, CHANCE in mase.marks, CONSTANT in text.marks) == (True, False, False)
