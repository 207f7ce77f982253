import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from mase.errors import ArtifactError, ParamsError, TrainingError
from mase.evaluation.metrics import best_constant, constant_predictions, metric_named
from mase.evaluation.metrics import score as score_frame
from mase.evaluation.metrics.metric import Metric
from mase.evaluation.metrics.scoring import REGISTRY
from mase.params import TaskParams


def score(task: TaskParams, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    return score_frame(task, pd.DataFrame({"label": labels, "prediction": predictions}))


def binary(*metrics: str) -> TaskParams:
    chosen = metrics or ("accuracy", "f1", "acc_and_f1")
    return TaskParams(
        name="b",
        title="B",
        family="classification",
        labels=("n", "y"),
        metrics=chosen,
        main_metric=chosen[-1],
    )


REGRESSION = TaskParams(
    name="r",
    title="R",
    family="regression",
    label_range=(0, 5),
    metrics=("pearson", "spearman", "pearson_spearman"),
    main_metric="pearson_spearman",
)


def test_classification_by_hand() -> None:
    labels, predictions = np.array([1, 1, 1, 0, 0]), np.array([1, 0, 1, 1, 0])
    found = score(binary(), labels, predictions)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found["acc_and_f1"] == pytest.approx((3 / 5 + 2 / 3) / 2)
    assert found["constant_predictions"] == 0.0


def test_classification_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(2, size=80), rng.integers(2, size=80)
    found = score(binary(), labels, predictions)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predictions))
    assert found["f1"] == pytest.approx(f1_score(labels, predictions, pos_label=1))


def test_regression_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    labels = np.round(rng.random(60) * 5, 1)
    predictions = np.round(labels + rng.normal(size=60), 1)
    found = score(REGRESSION, labels, predictions)
    assert found["pearson"] == pytest.approx(stats.pearsonr(labels, predictions)[0])
    assert found["spearman"] == pytest.approx(stats.spearmanr(labels, predictions)[0])
    assert found["pearson_spearman"] == pytest.approx((found["pearson"] + found["spearman"]) / 2)


@pytest.mark.parametrize("value", [2.5, 0.0, -1e3])
def test_a_constant_regression_scores_zero_is_flagged_and_warns_of_nothing(value: float) -> None:
    labels = np.linspace(0, 5, 30)
    predictions = np.full(30, value) + np.random.default_rng(0).normal(size=30) * 1e-9
    found = score(REGRESSION, labels, predictions)
    assert found == {"pearson": 0.0, "spearman": 0.0, "pearson_spearman": 0.0, "constant_predictions": 1.0}


def test_a_constant_class_is_flagged_and_f1_of_no_positive_is_zero() -> None:
    found = score(binary(), np.array([0, 0, 0]), np.array([0, 0, 0]))
    assert found == {"accuracy": 1.0, "f1": 0.0, "acc_and_f1": 0.5, "constant_predictions": 1.0}
    assert not constant_predictions(np.array([1]))
    assert not constant_predictions(np.array([1.0, 1.001]))


def constant_score(task: TaskParams, labels: np.ndarray) -> float:
    metric = metric_named(task, task.main_metric)
    constant = best_constant(task, pd.DataFrame({"label": labels}), metric)
    assert constant is not None
    return metric.value(labels, constant)


def test_the_best_constant_is_the_best_one_for_the_metric() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    assert constant_score(binary("accuracy"), labels) == pytest.approx(0.6)
    # All positive: accuracy 0.4, F1 8/14; better than all negative (0.6 and 0).
    assert constant_score(binary(), labels) == pytest.approx((0.4 + 8 / 14) / 2)
    assert constant_score(REGRESSION, np.array([1.0, 2.0, 5.0])) == 0.0


@pytest.mark.parametrize(
    ("labels", "predictions", "problem"),
    [
        ([0, 1], [0, 2], "class ids"),
        ([], [], "n > 0"),
        ([0, 1], [0.5, 1], "class ids"),
    ],
)
def test_wrong_inputs_are_refused(labels: list[int], predictions: list[float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        score(binary(), np.array(labels), np.array(predictions))


def test_a_diverged_regression_is_an_error() -> None:
    with pytest.raises(TrainingError, match="not all finite"):
        score(REGRESSION, np.array([1.0, 2.0]), np.array([np.nan, 1.0]))


def test_a_metric_must_exist_and_fit_the_task() -> None:
    with pytest.raises(ParamsError, match="there is: accuracy"):
        metric_named(binary(), "bleu")
    with pytest.raises(ParamsError, match="is for regression"):
        metric_named(binary(), "pearson")
    three = binary("accuracy").model_copy(update={"labels": ("a", "b", "c")})
    with pytest.raises(ParamsError, match="3 classes"):
        metric_named(three, "f1")


def example_of(metric: Metric, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    if metric.family == "classification":
        return rng.integers(2, size=size), rng.integers(2, size=(3, size))
    # Rounded, so that there are ties, and one constant row.
    predictions = np.round(rng.normal(size=(3, size)), 1)
    predictions[2] = 1.7
    return np.round(rng.random(size) * 5), predictions


SINGLE = [m for m in REGISTRY.values() if m.family in ("classification", "regression")]


@pytest.mark.parametrize("metric", SINGLE, ids=lambda metric: metric.name)
@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 25))
def test_the_resampled_metric_equals_the_metric_of_each_resample(
    metric: Metric, seed: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    labels, predictions = example_of(metric, rng, size)
    counts = rng.multinomial(size, np.full(size, 1 / size), size=4).astype(np.uint8)
    expected = [
        [metric.value(np.repeat(labels, c), np.repeat(row, c)) for row in predictions] for c in counts
    ]
    np.testing.assert_allclose(metric.resampled(labels, predictions, counts), expected, atol=1e-9)


def test_per_example_scores_average_to_the_metric() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(2, size=40), rng.integers(2, size=(3, 40))
    metric = REGISTRY["classification", "accuracy"]
    assert metric.per_example is not None
    expected = [metric.value(labels, row) for row in predictions]
    np.testing.assert_allclose(metric.per_example(labels, predictions).mean(axis=1), expected)


def first_over_second(labels: np.ndarray, columns: np.ndarray) -> float:
    return float(columns[:, 0].sum() / columns[:, 1].sum())


def no_value(*arrays: np.ndarray) -> np.ndarray:
    pytest.fail("no resampled value is needed here")


SPAN = TaskParams.model_construct(name="s", family="span", labels=(), metrics=("ratio",), main_metric="ratio")
RATIO = Metric("ratio", "span", first_over_second, no_value, columns=("hits", "asked"))
FRAME = pd.DataFrame(
    {"label": [0, 0, 0], "prediction": ["a", "", "b"], "hits": [1.0, 0.0, 0.5], "asked": [1, 1, 1]}
)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, ("span", "ratio"), RATIO)


@pytest.mark.usefixtures("registered")
def test_a_metric_reads_the_columns_that_it_names() -> None:
    assert score_frame(SPAN, FRAME) == {"ratio": 0.5, "constant_predictions": 0.0}
    assert score_frame(SPAN, FRAME.assign(prediction="a"))["constant_predictions"] == 1.0
    with pytest.raises(ArtifactError, match="no column 'asked', which metric 'ratio' reads"):
        score_frame(SPAN, FRAME.drop(columns="asked"))
    with pytest.raises(TrainingError, match="not all finite"):
        score_frame(SPAN, FRAME.assign(hits=np.nan))


@pytest.mark.usefixtures("registered")
def test_the_constant_of_other_families_is_what_their_columns_say() -> None:
    assert best_constant(SPAN, FRAME, RATIO) is None
    found = best_constant(SPAN, FRAME.assign(constant_hits=[0, 1, 0]), RATIO)
    assert found is not None
    np.testing.assert_array_equal(found, [[0, 1], [1, 1], [0, 1]])  # nothing is put in the place of `asked`


@pytest.mark.parametrize("reason", [None, "not computed (no java)"])
def test_a_metric_whose_program_is_absent_is_left_out(
    monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    metric = Metric("ratio", "span", first_over_second, no_value, None, RATIO.columns, lambda: reason)
    monkeypatch.setitem(REGISTRY, ("span", "ratio"), metric)
    assert score_frame(SPAN, FRAME.drop(columns="hits")) == {"constant_predictions": 0.0}
    assert score_frame(SPAN, FRAME)["ratio"] == 0.5


def test_metrics_of_two_families_may_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, ("span", "f1"), RATIO)
    assert metric_named(SPAN, "f1") is RATIO
    assert metric_named(binary(), "f1") is REGISTRY["classification", "f1"]
