"""Which run belongs to which work: notes, and what becomes of a run that is gone."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.book import noted_run, open_noted
from mase.tracking import names, runs


def test_work_that_goes_on_goes_on_in_the_same_run() -> None:
    first = open_noted("unit-1", "name", None, {names.KIND: "seed"})
    first.close("KILLED")
    again = open_noted("unit-1", "name", None, {names.KIND: "seed"})
    again.close()
    assert noted_run("unit-1") == first.run_id == again.run_id
    assert list(runs()["status"]) == ["FINISHED"]


def test_a_run_that_is_gone_is_replaced(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_noted("unit-1", "name", None, {})
    first.close()
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert noted_run("unit-1") is None  # the note is of another store
    second = open_noted("unit-1", "name", None, {})
    second.close()
    second.client.delete_run(second.run_id)
    third = open_noted("unit-1", "name", None, {})
    third.close()
    assert len({first.run_id, second.run_id, third.run_id}) == 3


def test_a_store_keeps_its_runs_however_it_is_spelled(
    mase_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_noted("unit-1", "name", None, {})
    first.close()
    monkeypatch.chdir(tmp_path)
    for uri in (
        f"sqlite:///{mase_home}/mlflow.db",
        f"sqlite:///{mase_home.name}/../{mase_home.name}/mlflow.db",
    ):
        monkeypatch.setenv("MASE_TRACKING_URI", uri)
        assert noted_run("unit-1") == first.run_id, uri


def test_a_note_holds_no_password_and_needs_none(mase_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.book.open_tracker", lambda *_, **__: SimpleNamespace(run_id="abc"))
    monkeypatch.setenv("MASE_TRACKING_URI", "http://admin:s3cret@mlflow:5000/?token=s3cret")
    open_noted("unit-1", "name", None, {})
    assert "s3cret" not in (mase_home / "tracking" / "unit-1.json").read_text(encoding="utf-8")
    for uri in ("http://admin:changed@mlflow:5000/", "http://MLFLOW:5000"):
        monkeypatch.setenv("MASE_TRACKING_URI", uri)
        assert noted_run("unit-1") == "abc", uri
    monkeypatch.setenv("MASE_TRACKING_URI", "http://mlflow:5001")
    assert noted_run("unit-1") is None


class Stop(BaseException):
    """A stop that is no KeyboardInterrupt, as Prefect's own is."""


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError("x"), "FAILED"), (Stop(), "KILLED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_is_closed_with_what_happened(error: BaseException | None, status: str) -> None:
    try:
        with open_noted("key", "name", None, {}):
            if error is not None:
                raise error
    except (Exception, Stop, KeyboardInterrupt) as caught:
        assert caught is error
    assert list(runs()["status"]) == [status]
