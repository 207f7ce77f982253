"""The metrics of span tasks over columns of the predictions equal the official script's numbers."""

import numpy as np
import pandas as pd
import pytest

from mase.data import Rows
from mase.evaluation.metrics import score
from mase.evaluation.metrics import squad as official
from mase.evaluation.metrics.scoring import best_constant, columns_of, labels_of, metric_named
from mase.families import FAMILIES, Answered
from mase.params import TaskParams

TASK = TaskParams.model_validate({
    "name": "t",
    "title": "T",
    "family": "span",
    "metrics": "exact f1 has_answer_exact has_answer_f1 no_answer_accuracy best_exact best_f1".split(),
    "main_metric": "f1",
    "embedded": "unread",
})  # fmt: skip
NAMES = {
    "exact": "exact",
    "f1": "f1",
    "has_answer_exact": "HasAns_exact",
    "has_answer_f1": "HasAns_f1",
    "no_answer_accuracy": "NoAns_exact",
    "best_exact": "best_exact",
    "best_f1": "best_f1",
}
CONTEXT = "the big red cat sat on a mat, and the dog sat beside it"
SPANS = ("the big red cat", "red cat", "cat", "a mat", "the dog", "the")


def asked(count: int, seed: int) -> tuple[Rows, dict[str, np.ndarray]]:
    """Return questions on one context, some unanswerable, and made-up best spans and scores, some equal."""
    rng = np.random.default_rng(seed)
    golds = [
        rng.choice(SPANS[:-1], rng.integers(1, 3)).tolist() if rng.random() < 0.6 else []
        for _ in range(count)
    ]
    starts = [CONTEXT.index(g[0]) if g else -1 for g in golds]
    labels = np.array([(s, s + len(g[0])) if g else (-1, -1) for s, g in zip(starts, golds, strict=True)])
    rows = Rows(
        tuple(f"q{i}" for i in range(count)),
        ("which?",) * count,
        (CONTEXT,) * count,
        labels,
        references=tuple(map(tuple, golds)),
    )
    chosen = rng.choice(SPANS, count)
    begin = np.array([CONTEXT.index(text) for text in chosen])
    predicted = {
        "start": begin,
        "end": begin + np.array([len(text) for text in chosen]),
        "score": rng.integers(-3, 4, count).astype(np.float32),
        "null": rng.integers(-3, 4, count).astype(np.float32),
    }
    return rows, predicted


def frame_of(rows: Rows, predicted: dict[str, np.ndarray]) -> pd.DataFrame:
    seen = Rows(rows.ids, rows.texts_a, rows.texts_b, rows.labels, groups=rows.ids)
    return FAMILIES["span"].frame(TASK, Answered(rows, seen, predicted))


def script(frame: pd.DataFrame, rows: Rows, predicted: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the official numbers: of the best spans, with the no-answer scores and the threshold 0."""
    assert rows.references is not None
    gold = dict(zip(rows.ids, rows.references, strict=True))
    spans = [CONTEXT[a:b] for a, b in zip(predicted["start"], predicted["end"], strict=True)]
    scores = dict(zip(rows.ids, frame["no_answer_score"].tolist(), strict=True))
    return official.score(gold, dict(zip(rows.ids, spans, strict=True)), scores, threshold=0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_metrics_are_the_scripts(seed: int) -> None:
    rows, predicted = asked(60, seed)
    frame = frame_of(rows, predicted)
    found, expected = score(TASK, frame), script(frame, rows, predicted)
    assert {name: found[name] for name in NAMES} == pytest.approx({n: expected[o] for n, o in NAMES.items()})
    given = dict(zip(rows.ids, frame["prediction"], strict=True))
    again = official.score(dict(zip(rows.ids, rows.references or (), strict=True)), given)
    assert (found["exact"], found["f1"]) == pytest.approx((again["exact"], again["f1"]))


@pytest.mark.parametrize("name", NAMES)
def test_a_resample_is_scored_like_a_data_set_of_its_own(name: str) -> None:
    seeds = [asked(9, 3)]
    rows = seeds[0][0]
    seeds.append((rows, asked(9, 4)[1]))
    metric = metric_named(TASK, name)
    frames = [frame_of(rows, predicted) for _, predicted in seeds]
    columns = np.stack([columns_of(TASK, frame, metric) for frame in frames])
    counts = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=6).astype(np.uint8)
    found = metric.resampled(labels_of(TASK, frames[0]), columns, counts)
    assert found.shape == (6, 2)
    for row, weights in enumerate(counts):
        drawn = np.repeat(np.arange(9), weights)
        for seed, frame in enumerate(frames):
            assert found[row, seed] == pytest.approx(score(TASK, frame.iloc[drawn].reset_index())[name])


def test_per_example_scores_average_to_the_metric() -> None:
    frame = frame_of(*asked(20, 1))
    for name in ("exact", "f1"):
        metric = metric_named(TASK, name)
        assert metric.per_example is not None
        each = metric.per_example(labels_of(TASK, frame), columns_of(TASK, frame, metric)[None])
        assert each.mean() == pytest.approx(score(TASK, frame)[name])


@pytest.mark.parametrize("name", NAMES)
def test_never_answering_is_what_chance_means(name: str) -> None:
    frame = frame_of(*asked(40, 2))
    metric, share = metric_named(TASK, name), float((frame["label"] == 0).mean())
    constant = best_constant(TASK, frame, metric)
    assert (constant is None) == (name == "no_answer_accuracy")  # it would be 1 by construction
    if constant is None:
        return
    expected = {"has_answer_exact": 0.0, "has_answer_f1": 0.0}.get(name, share)
    assert metric.value(labels_of(TASK, frame), constant) == pytest.approx(expected)


def test_without_unanswerable_questions_their_accuracy_is_zero() -> None:
    frame = frame_of(*asked(30, 0))
    answerable = frame[frame["label"] == 1].reset_index()
    assert score(TASK, answerable)["no_answer_accuracy"] == 0.0
