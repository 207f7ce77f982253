"""A trained unit as a service: `mase register`, `mlflow models serve` over http, `mase predict` of a file."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from mase.params import load_params
from mase.prediction import Prediction, Predictor
from mase.tracking.mlflow_tracker import connect

TEXTS = ["A red bus passes a small dog.", "The loud bell rings."]
SECONDS = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def unit(home: Path) -> Path:
    """Train the smallest unit, as a run of the store."""
    from mase.tracking import open_tracker
    from mase.units import Unit, train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(home))
        params = load_params("looks", profile="smoke", overrides=("training.max_steps=2",), seed=0)
        unit = Unit(params=params, label="smallest")
        with open_tracker("smallest", tags={"mase.unit": unit.digest}) as tracker:
            return train(unit, tracker=tracker, keep_model=True).folder


@pytest.fixture
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASE_HOME", str(home))
    return home


def mase(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def same(answer: dict[str, Any], expected: Prediction) -> None:
    assert answer["label"] == expected.label
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert answer["allocation"] == pytest.approx(expected.allocation)
    assert answer["entities"] == list(expected.entities)


def test_a_file_is_predicted_in_parts_with_progress(unit: Path, in_home: Path, tmp_path: Path) -> None:
    texts = [f"A dog number {i} barks." for i in range(5)]
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n")
    out = tmp_path / "deep" / "out.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mase.prediction.PART_ROWS", 2)
        patch.setattr(Predictor.predict_parts, "__defaults__", (None, 2))
        code, output, progress = mase(
            "predict", unit.name[:8], "--file", str(tmp_path / "t.txt"), "--out", str(out)
        )
    assert (code, output) == (0, f"5 rows in {out}\n")
    assert [line.partition("] ")[2] for line in progress.splitlines()] == [
        "rows 1 to 2 of 5: predicted", "rows 3 to 4 of 5: predicted", "rows 5 to 5 of 5: predicted",
    ]  # fmt: skip
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["texts"] for answer in answers] == [[text] for text in texts]
    for answer, expected in zip(answers, Predictor.load(unit).predict(texts), strict=True):
        same(answer, expected)
    assert [path.name for path in out.parent.iterdir()] == ["out.jsonl"]


def test_out_needs_a_file_and_a_place_that_can_be_written(unit: Path, in_home: Path, tmp_path: Path) -> None:
    assert "--out goes with --file" in mase("predict", unit.name, "--text", "a", "--out", "o")[2]
    (tmp_path / "t.txt").write_text("A dog.\n")
    code, _, errors = mase(
        "predict", unit.name, "--file", str(tmp_path / "t.txt"), "--out", str(tmp_path / "t.txt" / "out")
    )
    assert code == 2 and "cannot be written there" in errors


def test_a_failed_prediction_leaves_no_whole_file(unit: Path, in_home: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("A dog.\n")
    out = tmp_path / "out.jsonl"
    out.write_text("earlier\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "predict", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            mase("predict", unit.name, "--file", str(tmp_path / "t.txt"), "--out", str(out))
    assert out.read_text() == "earlier\n"


@pytest.mark.slow
def test_a_registered_unit_is_named_by_its_alias(unit: Path, in_home: Path) -> None:
    before = len(connect().search_runs(["1"]))
    code, output, _ = mase("register", unit.name[:8], "looks")
    assert code == 0
    assert "models:/looks@best is version 1" in output
    assert "mlflow models serve -m models:/looks@best" in output
    version = connect().get_model_version_by_alias("looks", "best")
    run = connect().get_run(str(version.run_id))
    assert (run.data.tags["mase.unit"], run.info.status) == (unit.name, "FINISHED")
    assert len(connect().search_runs(["1"])) == before  # it went to the run that trained the unit
    code, output, _ = mase("predict", "models:/looks@best", "--text", TEXTS[0], "--json")
    same(json.loads(output), Predictor.load(unit).predict(TEXTS[:1])[0])
    code, _, errors = mase("predict", "models:/nobody@best", "--text", "a")
    assert code == 1 and "nobody" in errors


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def served(unit: Path, in_home: Path, tmp_path: Path) -> Iterator[str]:
    """Serve the registered model with MLflow's own command, from a folder without this project."""
    mase("register", unit.name, "served")
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MASE_HOME")
    }
    environment |= {
        "MLFLOW_TRACKING_URI": f"sqlite:///{in_home / 'mlflow.db'}",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    words = ["models", "serve", "-m", "models:/served@best", "--env-manager", "local", "--host", "127.0.0.1"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--port", str(port)],
            cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no answer within {SECONDS:.0f} s\n{log.read_text()}")


def ask(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.mark.slow
def test_mlflow_serves_the_alias_best_over_http(unit: Path, served: str) -> None:
    answer = ask(served, {"dataframe_records": [{"text_a": text} for text in TEXTS]})
    for found, expected in zip(answer["predictions"], Predictor.load(unit).predict(TEXTS), strict=True):
        same(found, expected)
    assert answer["predictions"][0]["entities"] == ["red bus", "small dog"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(served, {"dataframe_records": [{"text": "A red bus."}]})
    assert caught.value.code == 400
    assert "missing inputs ['text_a']" in caught.value.read().decode()
