"""What is particular to MLflow: its limits, its store, reading back, and its quietness."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from mase.errors import TrackingError
from mase.tracking import names, open_tracker, read_run, runs
from mase.tracking.address import tracking_uri
from mase.tracking.mlflow_tracker import PARAM_LIMIT, MlflowTracker, connect, experiment_id, store_errors
from mase.tracking.provenance import source_commit

PROJECT = Path(__file__).resolve().parents[2]


def test_linkage_is_in_mlflows_own_tags(store: Path, experiment: str) -> None:
    flow = open_tracker("flow", experiment=experiment)
    seed = flow.child("cell").child("seed")
    client = connect()
    seed_tags = client.get_run(seed.run_id).data.tags
    cell_tags = client.get_run(seed_tags["mlflow.parentRunId"]).data.tags
    assert seed_tags["mlflow.runName"] == "seed"
    assert (cell_tags["mlflow.runName"], cell_tags["mlflow.parentRunId"]) == ("cell", flow.run_id)
    assert "mlflow.parentRunId" not in client.get_run(flow.run_id).data.tags
    assert seed_tags.get("mlflow.source.git.commit") == source_commit()


def test_a_long_param_is_cut_with_its_digest_and_kept_whole(store: Path, experiment: str) -> None:
    tracker = open_tracker("long", experiment=experiment)
    text = "ä" * (PARAM_LIMIT + 1)
    tracker.params({"short": "x" * PARAM_LIMIT, "long": text})
    record = read_run(tracker.run_id)
    assert record.params["short"] == "x" * PARAM_LIMIT
    assert len(record.params["long"]) == PARAM_LIMIT
    assert "6001 characters" in record.params["long"]
    assert record.artifacts == ["long_params/long.txt"]
    kept = connect().download_artifacts(tracker.run_id, "long_params/long.txt")
    assert Path(kept).read_text(encoding="utf-8") == text
    again = open_tracker("long", run_id=tracker.run_id)
    again.params({"long": text})
    with pytest.raises(TrackingError, match="long was"):
        again.params({"long": text[:-1] + "b"})


def test_more_params_than_a_request_may_hold(store: Path, experiment: str) -> None:
    tracker = open_tracker("many", experiment=experiment)
    tracker.params({"group": {f"key_{i}": i for i in range(250)}})
    assert len(read_run(tracker.run_id).params) == 250


def test_a_table_reads_back_as_csv_and_as_json(store: Path, experiment: str) -> None:
    tracker = open_tracker("table", experiment=experiment)
    frame = pd.DataFrame({"modality": ["text", "image"], "weight": [0.25, 0.75]})
    tracker.table("allocation", frame)
    client = connect()
    csv = client.download_artifacts(tracker.run_id, "tables/allocation.csv")
    pd.testing.assert_frame_equal(pd.read_csv(csv), frame)
    split = json.loads(Path(client.download_artifacts(tracker.run_id, "tables/allocation.json")).read_text())
    assert split == {"columns": ["modality", "weight"], "data": [["text", 0.25], ["image", 0.75]]}


def test_artifacts_lie_below_the_home(store: Path, experiment: str, tmp_path: Path) -> None:
    tracker = open_tracker("files", experiment=experiment)
    (tmp_path / "note.txt").write_text("x")
    tracker.artifact(tmp_path / "note.txt")
    assert len(list((store / "mlartifacts").rglob(f"{tracker.run_id}/**/note.txt"))) == 1


def test_runs_lists_an_experiment_with_its_key_metrics(store: Path, experiment: str) -> None:
    with open_tracker("cell", experiment=experiment, tags={names.KIND: "cell"}) as cell:
        cell.metrics({names.evaluation("mrpc", "f1"): 0.8, "train/loss/total": 1.0}, 0)
        cell.metrics({names.evaluation("mrpc", "f1"): 0.9}, 10)
    seed = cell_child = open_tracker("seed", parent=cell.run_id)
    cell_child.close("KILLED", "stopped")
    frame = runs(experiment)
    assert list(frame["run_id"]) == [cell.run_id, seed.run_id]
    assert frame["kind"][0] == "cell"
    assert frame["parent"][1] == cell.run_id
    assert list(frame["status"]) == ["FINISHED", "KILLED"]
    assert frame["reason"][1] == "stopped"
    assert frame["eval/mrpc/f1"][0] == 0.9
    assert "train/loss/total" not in frame
    assert str(frame["start"].dtype).endswith("UTC]")
    assert (frame["end"] >= frame["start"]).all()


def test_looking_for_runs_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_HOME", str(tmp_path / "new"))
    monkeypatch.delenv("MASE_TRACKING_URI", raising=False)
    frame = runs("anything")
    assert frame.empty
    assert "status" in frame
    assert not (tmp_path / "new").exists()


def test_the_store_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_HOME", str(tmp_path))
    monkeypatch.delenv("MASE_TRACKING_URI", raising=False)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MASE_TRACKING_URI", "http://localhost:5000")
    assert tracking_uri() == "http://localhost:5000"
    for wrong in ("./mlruns", f"file://{tmp_path}", str(tmp_path)):
        monkeypatch.setenv("MASE_TRACKING_URI", wrong)
        with pytest.raises(TrackingError, match="is a folder or has no scheme"):
            tracking_uri()


def test_a_store_that_cannot_be_opened_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_text("this is not a data base at all")
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(TrackingError, match="is not a SQLite file"):
        connect()
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{tmp_path}/text.db/below.db")
    with pytest.raises(TrackingError, match="cannot be created there"):
        connect()


def test_deleted_things_are_named_with_a_remedy(store: Path, experiment: str) -> None:
    client = connect()
    tracker = open_tracker("deleted", experiment=experiment)
    client.delete_run(tracker.run_id)
    with pytest.raises(TrackingError, match="is deleted; restore it"):
        open_tracker("deleted", run_id=tracker.run_id)
    client.delete_experiment(experiment_id(client, experiment))
    with pytest.raises(TrackingError, match="is deleted; restore it"):
        open_tracker("more", experiment=experiment)


def test_importing_the_package_does_not_import_mlflow() -> None:
    code = (
        "import sys, mase.tracking, mase.tracking.names\n"
        "print(sorted({'mlflow', 'torch', 'pandas'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_a_new_store_is_made_in_silence_and_nowhere_else(tmp_path: Path) -> None:
    code = (
        "import mase.tracking as t\n"
        "with t.open_tracker('a') as a: a.metrics({'em/delta': 1.0})\n"
        "assert list(t.runs()['status']) == ['FINISHED']\n"
    )
    environment = {"PYTHONPATH": str(PROJECT), "MASE_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"]
    assert sorted(p.name for p in (tmp_path / "home").iterdir()) == ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.parametrize(("message", "logged"), [
    ("(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id", True),
    ("(sqlite3.OperationalError) disk is full", False),
])  # fmt: skip
def test_a_data_set_that_another_process_logs_at_once_is_there_the_next_time(
    store: Path, experiment: str, monkeypatch: pytest.MonkeyPatch, message: str, logged: bool
) -> None:
    tracker = open_tracker("race", experiment=experiment)
    assert isinstance(tracker, MlflowTracker)
    write, calls = tracker.client.log_inputs, []

    def beaten(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise MlflowException(message)
        write(*arguments)

    monkeypatch.setattr(tracker.client, "log_inputs", beaten)
    about = {"digest": "d" * 20, "source": "files", "context": "train", "rows": 3}
    if logged:
        tracker.dataset("looks/train", **about)
        assert [d.name for d in read_run(tracker.run_id).datasets] == ["looks/train"]
    else:
        with pytest.raises(TrackingError, match="disk is full"):
            tracker.dataset("looks/train", **about)
        assert len(calls) == 1


def test_what_a_server_says_is_told_without_credentials() -> None:
    with pytest.raises(TrackingError) as caught, store_errors("run 1 in http://me:s3cret@mlflow:5000"):
        raise MlflowException("API request to http://me:s3cret@mlflow:5000/api failed: refused")
    said = "run 1 in http://mlflow:5000: API request to http://mlflow:5000/api failed: refused"
    assert str(caught.value) == said
    assert caught.value.__cause__ is None and caught.value.__suppress_context__  # no traceback has it
