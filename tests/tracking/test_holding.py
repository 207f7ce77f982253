"""Signals wait for the end of what they would interrupt."""

import signal
import threading
from pathlib import Path

import pytest

from mase.tracking import open_tracker
from mase.tracking.holding import signals_held


def test_a_signal_waits_for_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        signal.raise_signal(signal.SIGINT)
        done.append("written")
    assert done == ["written"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_goes_through() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        signal.raise_signal(signal.SIGINT)
        done.append("first")
        signal.raise_signal(signal.SIGINT)
        done.append("second")
    assert done == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nested_holds_end_with_the_outermost() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_held():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []

    def body() -> None:
        with signals_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_run_that_is_interrupted_while_it_writes_can_still_be_closed(
    mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = open_tracker("interrupted")
    write = tracker.client.log_batch

    def interrupted(*args: object, **kwargs: object) -> None:
        signal.raise_signal(signal.SIGINT)
        write(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(tracker.client, "log_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tracker.metrics({"eval/loss": 0.5}, step=1)
    monkeypatch.undo()
    tracker.close("KILLED")
    run = tracker.client.get_run(tracker.run_id)
    assert run.info.status == "KILLED" and run.data.metrics["eval/loss"] == 0.5
