"""The numbers of each example, and the metrics that read them, on CommonGen's real references."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mase.evaluation.metrics import generation, metric_named, score
from mase.evaluation.metrics.generation import columns as module
from mase.evaluation.metrics.scoring import best_constant, columns_of
from mase.params import TaskParams, load_params

# The first sentence that people wrote of each of the first 60 concept sets, against the others: of
# pycocoevalcap 1.2 (on spaces between the tokens of `tokenise`) and rouge-score 0.1.2, computed once.
GOLDEN = {
    "bleu_3": 0.2584015632074158,
    "bleu_4": 0.177562721560873,
    "cider": 1.401257976993378,
    "rouge_l_coco": 0.4963337671078285,
    "rouge_2": 0.1759595246634651,
    "rouge_l": 0.41978909885481835,
}


def task(*metrics: str) -> TaskParams:
    found = load_params("commongen", profile="smoke", overrides=("data.source=files", "data.dir=unread")).task
    return found.model_copy(update={"metrics": metrics, "main_metric": metrics[0]}) if metrics else found


def frame_of(candidates: list[str], references: list[list[str]], concepts: list[list[str]]) -> pd.DataFrame:
    columns = generation.score_columns(candidates, references, concepts)
    return pd.DataFrame({"label": 0, "prediction": candidates, **columns})


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[list[str], list[list[str]], list[list[str]]]:
    lines = (shared_data / "commongen" / "commongen.dev.jsonl").read_text().splitlines()[:60]
    found = [json.loads(line) for line in lines]
    concepts = [[c.split("_")[0] for c in example["concept_set"].split("#")] for example in found]
    scenes = [example["scene"] for example in found]
    return [scene[0] for scene in scenes], [scene[1:] for scene in scenes], concepts


@pytest.fixture(scope="module")
def frame(real: tuple[list[str], list[list[str]], list[list[str]]]) -> pd.DataFrame:
    return frame_of(*real)


def test_scores_of_real_sentences_equal_the_packages(frame: pd.DataFrame) -> None:
    scores = score(task(), frame)
    assert {name: scores[name] for name in GOLDEN} == pytest.approx(GOLDEN, abs=1e-9)
    assert 0.9 < scores["coverage"] <= 1.0


def test_a_metric_of_every_row_once_is_the_metric(frame: pd.DataFrame) -> None:
    once = np.ones((1, len(frame)), dtype=np.uint8)
    for name in generation.SCORES:
        metric = metric_named(task(), name)
        read = columns_of(task(), frame, metric)
        value = metric.value(frame["label"].to_numpy(), read)
        assert metric.resampled(frame["label"].to_numpy(), read[None], once) == pytest.approx(
            np.array([[value]])
        )
        assert value == pytest.approx(score(task(), frame)[name])


def test_a_resample_is_the_metric_of_its_rows(frame: pd.DataFrame) -> None:
    counts = (
        np.random.default_rng(0).multinomial(len(frame), [1 / len(frame)] * len(frame), 2).astype(np.uint8)
    )
    for name in ("bleu_4", "rouge_2", "coverage"):
        metric = metric_named(task(), name)
        read = columns_of(task(), frame, metric)
        two = np.stack([read, read[::-1]])  # of two seeds
        found = metric.resampled(frame["label"].to_numpy(), two, counts)
        for row, count in enumerate(counts):
            repeated = np.repeat(np.arange(len(frame)), count)
            assert found[row, 0] == pytest.approx(metric.value(repeated, read[repeated]))
    assert found.shape == (2, 2)


def test_copying_the_concepts_is_the_constant(
    real: tuple[list[str], list[list[str]], list[list[str]]],
) -> None:
    candidates, references, concepts = real
    copies = frame_of([" ".join(words) for words in concepts], references, concepts)
    both = frame_of(candidates, references, concepts)
    both = both.assign(
        **{f"constant_{c}": copies[c] for c in copies.columns if c not in ("label", "prediction")}
    )
    for name in ("bleu_3", "rouge_l", "cider", "coverage"):
        metric = metric_named(task(), name)
        constant = best_constant(task(), both, metric)
        assert constant is not None
        value = metric.value(both["label"].to_numpy(), constant)
        assert value == pytest.approx(score(task(name), copies)[name])
        assert value < score(task(), both)[name] or name == "coverage"


def test_without_java_a_metric_is_left_out_and_says_why(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert module.java_columns(["a cat"], [["a cat"]], ("meteor", "spice", "cider")) == {}
    assert not {"meteor", "spice"} & set(score(task(), frame))
    for name in ("meteor", "spice"):
        reason = metric_named(task(), name).unavailable
        assert reason is not None and reason() == "not computed (no java)"


def test_with_java_the_columns_are_those_that_the_metrics_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "java_metric_reason", lambda _: None)
    monkeypatch.setattr(module, "meteor", lambda words, references: (0.25, np.array([0.1, 0.3])))
    monkeypatch.setattr(module, "spice", lambda texts, references: np.array([0.5, 0.0]))
    asked = (["a cat sat", "it is"], [["a cat"], ["it was"]])
    found = module.java_columns(*asked, ("meteor", "spice"))
    table = pd.DataFrame({"label": 0, "prediction": asked[0], **found})
    assert score(task("meteor", "spice"), table) == {
        "meteor": 0.25,
        "spice": 0.25,
        "constant_predictions": 0.0,
    }
    assert set(module.java_columns(*asked, ("spice",))) == {"spice"}
    metric = metric_named(task(), "meteor")
    read = columns_of(task("meteor"), table, metric)
    twice_the_first = np.array([[2, 0]], dtype=np.uint8)
    assert metric.resampled(np.zeros(2), read[None], twice_the_first) == pytest.approx(np.array([[0.15]]))
