"""A worker of the engine `process`, in this process; `test_stop` stops a real one."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flows import pool_worker
from flows.engines import default_workers
from flows.pool_worker import prepare_worker, train_here


class Counter:
    """A counter as workers share one, in one process."""

    value = 0

    def get_lock(self) -> Any:
        return threading.Lock()


@pytest.fixture
def worker_handlers() -> Iterator[None]:
    """Put back what `prepare_worker` changes of this process."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in before:
        signal.signal(number, handler)
    pool_worker._stopped.clear()
    pool_worker._own.clear()


@pytest.fixture
def left(worker_handlers: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes with which this process would have left."""
    codes: list[int] = []
    monkeypatch.setattr(pool_worker.os, "_exit", codes.append)
    return codes


def test_workers_get_a_gpu_each(monkeypatch: pytest.MonkeyPatch, worker_handlers: None) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert default_workers() == 2
    counter, devices = Counter(), []
    for _ in range(3):
        prepare_worker(counter, ["4", "7"], {"OMP_NUM_THREADS": "1"})
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")  # Prefect sets the caller's before each step
        devices.append(train_here(os.getenv, "CUDA_VISIBLE_DEVICES"))
    assert devices == ["4", "7", "4"]


def test_a_worker_that_is_stopped_ends_its_unit_first_and_then_leaves(left: list[int]) -> None:
    """Ctrl-C reaches workers too, where the starter decides; a second SIGTERM leaves the closing alone."""
    prepare_worker(Counter(), [], {})
    said = []

    def unit() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            said.append("closed")

    train_here(unit)
    assert said == ["closed"] and left == [128 + signal.SIGTERM]


def test_a_worker_with_nothing_to_do_leaves_at_once(left: list[int]) -> None:
    prepare_worker(Counter(), [], {})
    signal.raise_signal(signal.SIGTERM)
    assert left == [128 + signal.SIGTERM]
