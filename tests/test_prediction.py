"""Predictions: the arithmetic over a stand-in model, and a trained unit's own."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from mase import predict
from mase.data import Rows
from mase.errors import CheckpointFormatError, DataError, MissingWeightsError
from mase.families import Answered, family_of
from mase.families.regression import within_range
from mase.params import BackboneParams, Params, TaskParams, available, load_params, read_named
from mase.prediction import Prediction, Predictor

ALLOCATION = {"text": 0.75, "image": 0.25}


def params_of(family: str) -> Params:
    """Return params of a small task of a family, without towers."""
    about: dict[str, Any] = (
        {"labels": ("no", "yes", "maybe"), "metrics": ("accuracy",), "main_metric": "accuracy"}
        if family == "classification"
        else {"label_range": (0.0, 5.0), "metrics": ("pearson",), "main_metric": "pearson"}
    )
    task = TaskParams.model_validate(
        {"name": "toy", "title": "Toy", "family": family, "embedded": "toy", **about}
    )
    backbone = BackboneParams(name="tiny", source="random", ref="bert", pooling="mean")
    return Params(task=task, backbone=backbone, towers={}, modalities=("text",), graph=None)


def write_folder(folder: Path, params: Params) -> Path:
    """Write the files that a unit's model folder has, and return the unit's folder."""
    model = folder / "model"
    model.mkdir(parents=True)
    (model / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    (model / "inventory.json").write_text(json.dumps({"names": ["self"]}))
    (model / "tokenizer.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    return folder


def framed(params: Params, logits: np.ndarray) -> pd.DataFrame:
    """Return outputs (n, C) as the family's predictions of n new rows."""
    ids = tuple(str(i) for i in range(len(logits)))
    rows = Rows(ids, ids, None, np.zeros(len(logits), np.int64))
    return family_of(params.task).frame(params.task, Answered(rows, rows, {"logits": logits}))


def length_logits(texts_a: Sequence[str], texts_b: Sequence[str] | None, columns: int) -> np.ndarray:
    """Return outputs that depend on the lengths of the texts, (n, columns)."""
    seconds = texts_b if texts_b is not None else [""] * len(texts_a)
    first = np.array([[len(a), len(b)] for a, b in zip(texts_a, seconds, strict=True)], dtype=np.float32)
    return first @ np.arange(2 * columns, dtype=np.float32).reshape(2, columns) / 10


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put a model in place whose outputs are known by hand."""
    module = ModuleType("mase.pretrained")

    def load_pretrained(folder: Path) -> tuple[str, Params]:
        content = yaml.safe_load((Path(folder) / "params.yaml").read_text())
        return "model", Params.model_validate(content)

    def predict_texts(model: str, params: Params, a: list[str], b: list[str] | None) -> dict[str, Any]:
        assert model == "model"
        columns = max(1, len(params.task.labels))
        return {
            "frame": framed(params, length_logits(a, b, columns)),
            "allocation": ALLOCATION,
            "entities": [[t[:3]] for t in a],
        }

    module.load_pretrained = load_pretrained  # type: ignore[attr-defined]
    module.predict_texts = predict_texts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mase.pretrained", module)
    monkeypatch.setitem(sys.modules, "mase.reading", module)
    return module


def test_classes_get_softmax_probabilities_in_the_order_of_the_labels(
    stand_in: ModuleType, tmp_path: Path
) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("classification")))
    short, none = predictor.predict(["abcdefghij", ""])
    e = np.e
    assert short.label == "maybe"
    assert list(short.probabilities) == ["no", "yes", "maybe"]
    assert list(short.probabilities.values()) == pytest.approx(
        [1 / (1 + e + e**2), e / (1 + e + e**2), e**2 / (1 + e + e**2)]
    )
    assert short.allocation == ALLOCATION
    assert short.entities == ("abc",)
    assert list(none.probabilities.values()) == pytest.approx([1 / 3] * 3)


def test_huge_outputs_do_not_overflow(stand_in: ModuleType, tmp_path: Path) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("classification")))
    (prediction,) = predictor.predict(["a" * 100_000])
    assert prediction.probabilities == {"no": 0.0, "yes": 0.0, "maybe": 1.0}


def test_regression_gives_the_score_and_no_probabilities(stand_in: ModuleType, tmp_path: Path) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("regression")))
    assert predictor.predict(["abcd"], ["xyz"]) == [Prediction(pytest.approx(0.3), {}, ALLOCATION, ("abc",))]


def test_a_score_stays_within_the_tasks_range_as_in_evaluation(stand_in: ModuleType, tmp_path: Path) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("regression")))
    (prediction,) = predictor.predict(["abcd"], ["x" * 100])
    assert prediction.label == 5.0
    scores = np.array([-1.0, 2.5, 9.0], np.float32)
    assert within_range(predictor.params.task, scores).tolist() == [0.0, 2.5, 5.0]


def test_the_folder_may_be_the_units_or_the_models(stand_in: ModuleType, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, params_of("classification"))
    assert Predictor.load(str(folder)).predict(["a"]) == Predictor.load(folder / "model").predict(["a"])


def test_no_texts_give_no_predictions(stand_in: ModuleType, tmp_path: Path) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("classification")))
    assert predictor.predict([]) == []
    assert predictor.predict([], []) == []


@pytest.mark.parametrize(
    ("texts_a", "texts_b", "message"),
    [
        ("one text", None, r"texts_a: expected a list of texts"),
        (["a"], "b", r"texts_b: expected a list of texts"),
        (["a", None], None, r"texts_a\[1\]: expected text, got None"),
        (["a"], [3], r"texts_b\[0\]: expected text, got 3"),
        (["a", "b"], ["c"], r"2 texts_a but 1 texts_b"),
    ],
)
def test_what_is_not_texts_is_refused(
    stand_in: ModuleType, tmp_path: Path, texts_a: Any, texts_b: Any, message: str
) -> None:
    predictor = Predictor.load(write_folder(tmp_path, params_of("classification")))
    with pytest.raises(DataError, match=message):
        predictor.predict(texts_a, texts_b)


@pytest.mark.parametrize("name", ["params.yaml", "model.safetensors", "inventory.json"])
def test_a_missing_file_is_named(stand_in: ModuleType, tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path, params_of("classification"))
    (folder / "model" / name).unlink()
    with pytest.raises(MissingWeightsError, match=f"model: no {name}"):
        Predictor.load(folder)
    with pytest.raises(MissingWeightsError, match=r"nowhere: no params\.yaml, model\.safetensors"):
        Predictor.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("logits", "message"),
    [(np.zeros((1, 2)), "of 3 probabilities each.*of 2"), (np.array([[0.0, np.nan, 1.0]]), "not finite")],
)
def test_unusable_outputs_are_refused(
    stand_in: ModuleType, tmp_path: Path, logits: np.ndarray, message: str
) -> None:
    params = params_of("classification")
    answer = {"frame": framed(params, logits), "allocation": ALLOCATION, "entities": [[]]}
    stand_in.predict_texts = lambda *_: answer  # type: ignore[attr-defined]
    predictor = Predictor.load(write_folder(tmp_path, params))
    with pytest.raises(CheckpointFormatError, match=message):
        predictor.predict(["a"])


@pytest.fixture(scope="module")
def unit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the smallest unit of the first embedded task."""
    from mase.units import Unit, train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(tmp_path_factory.mktemp("home")))
        task = next(t for t in available("tasks") if _is_embedded(t))
        params = load_params(task, profile="smoke", overrides=("training.max_steps=2",), seed=0)
        return train(Unit(params=params, label="smallest"), keep_model=True).folder


def _is_embedded(task: str) -> bool:
    return read_named("tasks", task).get("embedded") is not None


def test_a_trained_unit_predicts_texts(unit_folder: Path) -> None:
    predictor = Predictor.load(unit_folder)
    texts = ["A red bus passes a small dog.", "", "The loud bell rings. 🙂"]
    predictions = predictor.predict(texts)
    assert len(predictions) == 3
    for prediction in predictions:
        assert prediction.label in predictor.params.task.labels
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
        assert list(prediction.allocation) == list(predictor.params.modalities)
        assert sum(prediction.allocation.values()) == pytest.approx(1.0, abs=1e-5)
    assert len(predictions[0].entities) >= 1
    assert predictions[1].entities == ()


def test_predict_is_the_predictors_answer(unit_folder: Path) -> None:
    texts = ["A red apple.", "A dog barks."]
    assert predict(unit_folder, texts) == Predictor.load(unit_folder).predict(texts)
    with pytest.raises(MissingWeightsError):
        predict(unit_folder / "nowhere", texts)


def test_a_prediction_does_not_depend_on_its_neighbours(unit_folder: Path) -> None:
    predictor = Predictor.load(unit_folder)
    texts = ["A red bus.", "A small dog runs over the wide green field.", "The loud bell rings."]
    together = predictor.predict(texts)
    backwards = predictor.predict(texts[::-1])[::-1]
    alone = [predictor.predict([text])[0] for text in texts]
    for one, two, three in zip(together, backwards, alone, strict=True):
        assert list(one.probabilities.values()) == pytest.approx(list(two.probabilities.values()), abs=1e-4)
        assert list(one.probabilities.values()) == pytest.approx(list(three.probabilities.values()), abs=1e-4)
        assert one.entities == two.entities == three.entities
