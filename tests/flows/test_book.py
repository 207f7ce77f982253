"""Which run belongs to which work: notes, and what becomes of a run that is gone."""

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
