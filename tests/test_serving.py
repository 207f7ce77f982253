"""The MLflow model: no pickle, a signature, and predictions in a process that knows nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from mase.data import Rows
from mase.errors import DataError, MissingWeightsError, TrackingError
from mase.families import Answered, family_of
from mase.params import (
    BackboneParams,
    DataParams,
    FileColumns,
    FileSource,
    Params,
    TaskParams,
    available,
    load_params,
    read_named,
)
from mase.prediction import Predictor
from mase.serving.pyfunc import requirements, save_model, signature, texts_of
from mase.serving.registry import fetch_model, log_model
from mase.tracking import MemoryTracker, MlflowTracker, names, open_tracker, runs
from mase.tracking.mlflow_tracker import connect

CLASSES: dict[str, Any] = {"labels": ("no", "yes"), "metrics": ("accuracy",), "main_metric": "accuracy"}
SCORES: dict[str, Any] = {"label_range": (0.0, 5.0), "metrics": ("pearson",), "main_metric": "pearson"}


CHOICES: dict[str, Any] = CLASSES | {"options": 2, "labels": ("A", "B")}
FAMILIES: dict[str, dict[str, Any]] = {
    "classification": CLASSES, "regression": SCORES, "multiple_choice": CHOICES
}  # fmt: skip


def params_of(family: str, pairs: bool = False) -> Params:
    """Return params of a small task without towers."""
    second = {"choices": ("c",)} if family == "multiple_choice" else {"text_b": "b" if pairs else None}
    columns = FileColumns.model_validate({"text_a": "a", "label": "y", **second})
    source = FileSource(folder="toy", train="train.tsv", dev="dev.tsv", columns=columns)
    task = TaskParams.model_validate(
        {"name": "toy", "title": "Toy", "family": family, "files": source, **FAMILIES[family]}
    )
    backbone = BackboneParams(name="tiny", source="random", ref="bert", pooling="mean")
    data = DataParams(source="files", dir="nowhere")
    return Params(task=task, data=data, backbone=backbone, towers={}, modalities=("text",), graph=None)


def framed(params: Params, logits: np.ndarray) -> pd.DataFrame:
    """Return outputs (n, C) as the family's predictions of n new rows."""
    ids = tuple(str(i) for i in range(len(logits)))
    rows = Rows(ids, ids, None, np.zeros(len(logits), np.int64))
    return family_of(params.task).frame(params.task, Answered(rows, rows, {"logits": logits}))


def write_unit(folder: Path, params: Params) -> Path:
    """Write what the folder of a unit has, with weights that mean nothing."""
    model = folder / "model"
    model.mkdir(parents=True)
    (model / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    (model / "inventory.json").write_text(json.dumps({"names": ["self"]}))
    (model / "tokenizer.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    return folder


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Put a model in place that prefers the last label for long texts; keep `sys.path` as it was.

    MLflow makes a store in the working directory as soon as it looks for a default one: it must not.
    """
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    module = ModuleType("mase.pretrained")

    def load_pretrained(folder: Path) -> tuple[None, Params]:
        return None, Params.model_validate(yaml.safe_load((Path(folder) / "params.yaml").read_text()))

    def predict_texts(model: None, params: Params, a: list[str], b: list[str] | None) -> dict[str, Any]:
        lengths = np.array([[len(x)] for x in a], dtype=np.float32) / 10 + (0.0 if b is None else 100.0)
        columns = np.arange(len(params.task.labels)) if params.task.labels else np.ones(1)
        return {
            "frame": framed(params, lengths * columns),
            "allocation": {"text": 1.0},
            "entities": [[x.split()[0]] for x in a],
        }

    module.load_pretrained = load_pretrained  # type: ignore[attr-defined]
    module.predict_texts = predict_texts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mase.pretrained", module)
    monkeypatch.setitem(sys.modules, "mase.reading", module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    yield
    assert list((tmp_path / "work").iterdir()) == []


@pytest.fixture(scope="module")
def serving_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def tracker(serving_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowTracker]:
    monkeypatch.setenv("MASE_HOME", str(serving_home))
    monkeypatch.delenv("MASE_TRACKING_URI", raising=False)
    with open_tracker("serving") as opened:
        yield opened
    assert mlflow.active_run() is None


def test_a_saved_model_predicts_classes_through_mlflow(stand_in: None, tmp_path: Path) -> None:
    save_model(write_unit(tmp_path / "unit", params_of("classification")), tmp_path / "saved")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    frame = pd.DataFrame({"text_a": ["A dog barks.", "So"]}, index=[7, 9])
    table = loaded.predict(frame)
    assert list(table.columns) == ["label", "probabilities", "allocation", "entities"]
    assert list(table.index) == [7, 9]
    assert list(table["label"]) == ["yes", "yes"]
    assert table["probabilities"][7]["yes"] == pytest.approx(1 / (1 + np.exp(-1.2)))
    assert table["allocation"][7] == {"text": 1.0}
    assert list(table["entities"]) == [["A"], ["So"]]


def test_a_saved_model_predicts_scores_of_pairs(stand_in: None, tmp_path: Path) -> None:
    save_model(write_unit(tmp_path / "unit", params_of("regression", pairs=True)), tmp_path / "saved")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    table = loaded.predict(pd.DataFrame({"text_a": ["A dog."], "text_b": ["It barks."]}))
    assert list(table.columns) == ["label", "allocation", "entities"]
    assert list(table["label"]) == [5.0]


def test_a_saved_model_takes_the_choices_of_a_question(stand_in: None, tmp_path: Path) -> None:
    params = params_of("multiple_choice")
    save_model(write_unit(tmp_path / "unit", params), tmp_path / "saved")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    frame = pd.DataFrame({"text_a": ["Where?"], "choices": [["in the park", "on the moon"]]})
    table = loaded.predict(frame)
    assert list(table["label"]) == ["B"] and set(table["probabilities"][0]) == {"A", "B"}
    assert signature(params).inputs.input_names() == ["text_a", "choices"]
    with pytest.raises(DataError, match="a question needs 2 choices"):
        loaded.predict(pd.DataFrame({"text_a": ["Where?"], "choices": [["in the park"]]}))


def test_a_saved_model_has_no_pickle_and_describes_itself(stand_in: None, tmp_path: Path) -> None:
    params = params_of("classification", pairs=True)
    save_model(write_unit(tmp_path / "unit", params), tmp_path / "saved")
    files = {str(p.relative_to(tmp_path / "saved")) for p in (tmp_path / "saved").rglob("*") if p.is_file()}
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".bin"))]
    wanted = ("params.yaml", "model.safetensors", "tokenizer.json", "inventory.json")
    assert {f"artifacts/model/{name}" for name in wanted} <= files
    assert "code/mase/prediction.py" in files
    about = mlflow.models.get_model_info(str(tmp_path / "saved"))
    assert about.signature == signature(params)
    assert about.signature.inputs.required_input_names() == ["text_a"]
    example = mlflow.pyfunc.load_model(str(tmp_path / "saved")).input_example
    assert list(example.columns) == ["text_a", "text_b"]


def test_requirements_are_pinned_and_installable(stand_in: None) -> None:
    pinned = requirements()
    assert {"mlflow", "safetensors", "torch", "transformers"} <= {line.partition("==")[0] for line in pinned}
    assert all("==" in line and "+" not in line for line in pinned)


def test_the_second_texts_are_all_or_nothing() -> None:
    assert texts_of(pd.DataFrame({"text_a": ["a"]})) == (["a"], None)
    assert texts_of(pd.DataFrame({"text_a": ["a"], "text_b": [None]})) == (["a"], None)
    assert texts_of(pd.DataFrame({"text_a": ["a"], "text_b": ["b"]})) == (["a"], ["b"])
    with pytest.raises(DataError, match="for some rows"):
        texts_of(pd.DataFrame({"text_a": ["a", "c"], "text_b": ["b", None]}))
    with pytest.raises(DataError, match="needs a column text_a"):
        texts_of(pd.DataFrame({"text": ["a"]}))


def test_a_logged_model_belongs_to_its_run_and_is_logged_once(
    stand_in: None, tracker: MlflowTracker, tmp_path: Path
) -> None:
    unit = write_unit(tmp_path / "unit", params_of("classification"))
    before = len(runs())
    uri = log_model(tracker, unit)
    assert log_model(tracker, unit, register="toy", alias="best") == uri
    assert log_model(tracker, unit, register="toy", alias="best") == uri
    client = connect()
    run = client.get_run(tracker.run_id)
    model_id = run.data.tags[names.MODEL_ID]
    assert uri == f"models:/{model_id}"
    assert [output.model_id for output in run.outputs.model_outputs] == [model_id]
    entry = client.get_logged_model(model_id)
    assert (entry.status, entry.source_run_id) == ("READY", tracker.run_id)
    (version,) = client.search_model_versions("name = 'toy'")
    assert client.get_model_version_by_alias("toy", "best").version == version.version
    assert version.run_id == tracker.run_id
    assert len(runs()) == before


def test_a_logged_model_comes_back_by_id_version_and_alias(
    stand_in: None, tracker: MlflowTracker, tmp_path: Path
) -> None:
    uri = log_model(
        tracker, write_unit(tmp_path / "unit", params_of("classification")), register="back", alias="best"
    )
    for number, name in enumerate((uri, "models:/back/1", "models:/back@best")):
        (tmp_path / str(number)).mkdir()
        folder = fetch_model(name, tmp_path / str(number))
        assert Predictor.load(folder).predict(["A dog barks."])[0].label == "yes"
        whole = mlflow.pyfunc.load_model(str(folder))
        assert list(whole.predict(pd.DataFrame({"text_a": ["A dog barks."]}))["label"]) == ["yes"]
    (tmp_path / "none").mkdir()
    for wrong in ("models:/nobody@best", "models:/back/7", "models:/m-" + "0" * 32):
        with pytest.raises(TrackingError, match=wrong):
            fetch_model(wrong, tmp_path / "none")


def test_a_model_that_cannot_be_saved_is_marked_failed(
    stand_in: None, tracker: MlflowTracker, tmp_path: Path
) -> None:
    with pytest.raises(MissingWeightsError, match=r"no params\.yaml"):
        log_model(tracker, tmp_path)
    client = connect()
    found = client.search_logged_models([tracker.experiment_id])
    mine = [entry for entry in found if entry.source_run_id == tracker.run_id]
    assert [entry.status for entry in mine] == ["FAILED"]
    assert names.MODEL_ID not in client.get_run(tracker.run_id).data.tags


def test_a_run_outside_mlflow_cannot_hold_a_model(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="is not in MLflow"):
        log_model(MemoryTracker("memory"), write_unit(tmp_path / "unit", params_of("classification")))


FRESH = """
import json, sys, pandas, mlflow
loaded = mlflow.pyfunc.load_model(sys.argv[1])
table = loaded.predict(pandas.DataFrame({"text_a": json.loads(sys.argv[2])}))
import mase
print("RESULT" + json.dumps({"where": list(mase.__path__), "rows": table.to_dict("records")}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the smallest unit of the first embedded task."""
    from mase.units import Unit, train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(tmp_path_factory.mktemp("home")))
        task = next(t for t in available("tasks") if read_named("tasks", t).get("embedded"))
        params = load_params(task, profile="smoke", overrides=("training.max_steps=2",), seed=0)
        return train(Unit(params=params, label="smallest"), keep_model=True).folder


@pytest.mark.slow
def test_a_trained_unit_serves_in_a_fresh_process_without_this_project(trained: Path, tmp_path: Path) -> None:
    texts = ["A red bus passes a small dog.", "The loud bell rings."]
    save_model(trained, tmp_path / "saved")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MASE_HOME": str(tmp_path / "home")}
    answer = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path / "saved"), json.dumps(texts)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout.partition("RESULT")[2])
    assert result["where"][0].startswith(str(tmp_path / "saved"))
    expected = Predictor.load(trained).predict(texts)
    for row, prediction in zip(result["rows"], expected, strict=True):
        assert row["label"] == prediction.label
        assert row["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-5)
        assert row["allocation"] == pytest.approx(prediction.allocation)
        assert row["entities"] == list(prediction.entities)
