"""Lists of runs: the same from the database itself and through MLflow's client."""

import math
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mase.errors import TrackingError
from mase.tracking import database, open_tracker
from mase.tracking.listing import listing, trajectories
from mase.tracking.mlflow_tracker import tracking_uri
from mase.tracking.names import KIND

EVERY = ("eval/", "em/", "cost/")


@pytest.fixture
def filled(store: Path, experiment: str) -> str:
    """Write a flow with a seed of three steps, a failed and a running run; return the experiment."""
    with open_tracker("flow", experiment=experiment, tags={KIND: "flow"}) as flow:
        flow.params({"tables": ["table6"], "other": 1})
        with flow.child("a / b / seed 0", {KIND: "seed", "mase.unit": "0123456789abcdef0123"}) as seed:
            for step in range(3):
                seed.metrics({"em/weight/text": 0.5 + step / 10, "emx/weight/text": 1.0}, step)
            seed.metrics({"eval/looks/accuracy": 0.75, "em/objective": math.nan, "train/loss/total": 1.0}, 3)
        flow.child("failed", {KIND: "seed"}).close("FAILED", "no memory")
    open_tracker("running", experiment=experiment, tags={"mase.row": "100% a_b"})
    return experiment


def test_a_run_has_its_place_its_state_and_the_asked_metrics(filled: str) -> None:
    frame = listing(filled, metrics=EVERY)
    found: dict[Any, dict[Any, Any]] = {run["name"]: run for run in frame.to_dict("records")}
    assert {name: run["status"] for name, run in found.items()} == {
        "running": "RUNNING", "failed": "FAILED", "a / b / seed 0": "FINISHED", "flow": "FINISHED",
    }  # fmt: skip
    seed = found["a / b / seed 0"]
    assert (seed["kind"], seed["unit"]) == ("seed", "0123456789abcdef0123")
    assert seed["parent"] == found["flow"]["run_id"]
    assert seed["em/weight/text"] == pytest.approx(0.7) and seed["eval/looks/accuracy"] == 0.75
    assert math.isnan(seed["em/objective"])
    assert not {"train/loss/total", "emx/weight/text"} & set(frame.columns)
    assert found["flow"]["tables"] == '["table6"]'
    assert found["failed"]["reason"] == "no memory"
    assert pd.isna(found["running"]["end"]) and found["running"]["row"] == "100% a_b"
    assert str(frame["start"].dtype).endswith("UTC]")


def test_the_newest_come_first_and_a_limit_keeps_them(filled: str) -> None:
    names = listing(filled)["name"].tolist()
    assert names[0] == "running"
    assert listing(filled, limit=2)["name"].tolist() == names[:2]


def test_the_client_gives_what_the_database_gives(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.layout_is_known(tracking_uri())  # or every list of this project is slow
    direct = listing(filled, metrics=EVERY)
    ids = direct["run_id"].tolist()
    points = trajectories(ids, ("em/weight",))
    assert points["value"].tolist() == pytest.approx([0.5, 0.6, 0.7]) and points["step"].tolist() == [0, 1, 2]
    monkeypatch.setattr(database, "is_database", lambda uri: False)
    by_client = listing(filled, metrics=EVERY)
    order = ["start", "run_id"]
    left, right = (f.sort_values(order).reset_index(drop=True) for f in (direct, by_client))
    pd.testing.assert_frame_equal(left, right)
    pd.testing.assert_frame_equal(points, trajectories(ids, ("em/weight",)))
    assert listing(filled, limit=2)["run_id"].tolist() == by_client["run_id"].tolist()[:2]


def test_looking_at_no_store_makes_none(mase_home: Path) -> None:
    assert listing().empty
    assert not mase_home.exists()


def test_other_experiments_and_deleted_runs_are_not_listed(filled: str, store: Path) -> None:
    run_id = listing(filled)["run_id"].iloc[0]
    with sqlite3.connect(store / "mlflow.db") as connection:
        connection.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (run_id,))
    connection.close()
    assert run_id not in listing(filled)["run_id"].tolist()
    assert listing("nobody's experiment").empty


def test_a_broken_store_is_a_tracking_error(mase_home: Path) -> None:
    mase_home.mkdir()
    (mase_home / "mlflow.db").write_bytes(b"no database " * 100)
    with pytest.raises(TrackingError, match="not a database"):
        listing()


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql+psycopg://me:s3cret@127.0.0.1:1/mlflow",
        "postgresql+psycopg://me:s3cret/more@127.0.0.1:1/mlflow",
        "postgresql+psycopg://127.0.0.1:1/mlflow?user=me&password=s3cret",
    ],
)
def test_no_password_is_told(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_TRACKING_URI", uri)
    with pytest.raises(TrackingError) as caught:
        listing()
    assert "s3cret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_a_list_waits_for_a_writer_instead_of_failing(filled: str, store: Path) -> None:
    writer = sqlite3.connect(store / "mlflow.db", check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(1.0, writer.rollback)
    timer.start()
    assert len(listing(filled)) == 4
    timer.join()
    writer.close()
