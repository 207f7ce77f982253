import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from mase.errors import ParamsError, TrainingError
from mase.evaluation.metrics import constant_predictions, majority, metric_named, score
from mase.evaluation.metrics.metric import Metric
from mase.evaluation.metrics.scoring import REGISTRY
from mase.params import TaskParams


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


def test_majority_is_the_best_constant_for_the_main_metric() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    assert majority(binary("accuracy"), labels)["accuracy"] == pytest.approx(0.6)
    # All positive: accuracy 0.4, F1 8/14; better than all negative (0.6 and 0).
    assert majority(binary(), labels)["acc_and_f1"] == pytest.approx((0.4 + 8 / 14) / 2)
    assert majority(REGRESSION, np.array([1.0, 2.0, 5.0]))["pearson_spearman"] == 0.0


@pytest.mark.parametrize(
    ("labels", "predictions", "problem"),
    [
        ([0, 1], [0], "2 labels but 1"),
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


@pytest.mark.parametrize("metric", REGISTRY.values(), ids=list(REGISTRY))
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
    metric = REGISTRY["accuracy"]
    assert metric.per_example is not None
    expected = [metric.value(labels, row) for row in predictions]
    np.testing.assert_allclose(metric.per_example(labels, predictions).mean(axis=1), expected)
