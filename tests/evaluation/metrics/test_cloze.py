import numpy as np
import pandas as pd
import pytest

from mase.evaluation.metrics import score
from mase.evaluation.metrics.cloze import METRICS, answer_columns
from mase.evaluation.metrics.scoring import best_constant, columns_of, metric_named
from mase.params import FileColumns, FileSource, TaskParams

NAMES = tuple(metric.name for metric in METRICS)
TASK = TaskParams(
    name="probe",
    title="Probe",
    family="cloze",
    labels=("red", "green", "blue"),
    templates=("[object] is [blank]", "a [blank] [object]"),
    metrics=NAMES,
    main_metric="accuracy",
    files=FileSource(train="a.csv", dev="b.csv", columns=FileColumns(text_a="text", label="text")),
)
# Two templates, four items, three labels; gold 0, 0, 2, 0. Template 1 is right on 0, 2; template 2 on 1, 2.
SCORES = np.log(
    [
        [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]],
        [[0.3, 0.4, 0.3], [0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]],
    ]
)
GOLD = np.array([0, 0, 2, 0])
COUNTS = np.array([[9, 5, 1], [4, 2, 2], [0, 1, 7], [3, 2, 1]])


def frame_of(scores: np.ndarray = SCORES, gold: np.ndarray | None = None) -> pd.DataFrame:
    given = np.column_stack([GOLD, COUNTS]) if gold is None else gold
    return pd.DataFrame({"id": list("abcd")[: len(given)], **answer_columns(scores, given)})


def test_a_probe_by_hand() -> None:
    found = score(TASK, frame_of())
    assert found == {
        "accuracy": pytest.approx(1 / 2),
        "ensemble": pytest.approx(3 / 4),
        "spearman": pytest.approx(found["spearman"]),
        "majority": 3 / 4,
        "chance": pytest.approx(1 / 3),
        "template_sd": 0.0,
        "best_template": 1 / 2,
        "any_template": 3 / 4,
        "constant_predictions": 0.0,
    }
    assert frame_of().spearman[2] == pytest.approx(1.0)


def test_columns_of_each_template_and_item() -> None:
    frame = frame_of()
    assert frame.template_1.tolist() == [0, 1, 2, 1] and frame.template_2.tolist() == [1, 0, 2, 1]
    assert frame.hits.tolist() == [0b01, 0b10, 0b11, 0] and frame.correct.tolist() == [0.5, 0.5, 1, 0]
    shares = frame[[f"probability_{k}" for k in range(3)]].to_numpy()
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (shares.argmax(axis=1) == frame.prediction).all()


def test_the_oracles_are_above_the_mean_and_not_the_main_metric() -> None:
    skewed = np.stack([SCORES[0], SCORES[0], SCORES[1][[0, 1, 2, 3]]])
    skewed[2] = np.log(1 / 3)  # every label alike: the first is taken
    found = score(TASK, frame_of(skewed))
    assert found["accuracy"] == pytest.approx((0.5 + 0.5 + 0.75) / 3) and found["best_template"] == 0.75
    assert found["template_sd"] == pytest.approx(np.std([0.5, 0.5, 0.75], ddof=1))


@pytest.mark.parametrize("name", NAMES)
def test_resamples_weight_the_items(name: str) -> None:
    """Each item drawn once is the value itself; a resample equals the value on the items drawn."""
    metric, frame = metric_named(TASK, name), frame_of()
    labels = frame.label.to_numpy()
    columns = columns_of(TASK, frame, metric)
    counts = np.array([[1, 1, 1, 1], [0, 2, 1, 1], [4, 0, 0, 0]], dtype=np.uint8)
    drawn = [np.repeat(np.arange(4), row) for row in counts]
    expected = [metric.value(labels[i], columns[i]) for i in drawn]
    two_seeds = np.stack([columns, columns])
    assert metric.resampled(labels, two_seeds, counts) == pytest.approx(np.array([expected, expected]).T)
    if metric.per_example is not None:
        assert metric.per_example(labels, two_seeds).mean() == pytest.approx(expected[0])


def test_the_constant_row_is_the_majority_label() -> None:
    frame = frame_of()
    for name in ("accuracy", "ensemble", "best_template", "any_template"):
        metric = metric_named(TASK, name)
        constant = best_constant(TASK, frame, metric)
        assert constant is not None and metric.value(frame.label.to_numpy(), constant) == 0.75


def test_new_objects_have_predictions_and_nothing_to_be_judged_by() -> None:
    columns = answer_columns(SCORES, None)
    assert columns["prediction"].tolist() == frame_of().prediction.tolist()
    assert not {"label", "correct", "hits", "chance"} & set(columns)


def test_without_a_distribution_there_is_no_correlation() -> None:
    assert "spearman" not in answer_columns(SCORES, GOLD)
    with pytest.raises(ValueError, match="at most 52"):
        answer_columns(np.zeros((53, 2, 3)), np.zeros(2, np.int64))


def test_fifty_two_templates_are_told_apart() -> None:
    generator = np.random.default_rng(0)
    many = generator.normal(size=(52, 4, 3))
    frame = frame_of(many)
    right = many.argmax(axis=2) == GOLD
    found = score(TASK, frame)
    assert found["best_template"] == right.mean(axis=1).max()
    assert found["template_sd"] == pytest.approx(right.mean(axis=1).std(ddof=1))
