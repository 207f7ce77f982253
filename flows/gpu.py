"""One training per GPU, over all flow runs and machines: a slot of the server's limit `gpu`, and a device.

`mase serve` makes the limit. It counts; which of a machine's GPUs is free is told by a lock per device
in `$MASE_HOME/gpus/`. A flow that is called as a function, or on a machine without a GPU, takes neither.
"""

import functools
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import ParamSpec, TypeVar

from filelock import FileLock, Timeout

from mase.artifacts import home

LIMIT = "gpu"
POLL_SECONDS = 2.0

P = ParamSpec("P")
R = TypeVar("R")


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them, without touching CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:  # CUDA ignores what follows a name that is none
        return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, visible.split(","))))
    devices = sum(name.removeprefix("nvidia").isdigit() for name in os.listdir("/dev") if "nvidia" in name)
    return [str(index) for index in range(devices)]  # CUDA counts from 0, whatever a container's /dev shows


def visible_gpus() -> int:
    """Return how many GPUs this process may use."""
    return len(gpus())


@contextmanager
def own_gpu() -> Iterator[None]:
    """Hold a GPU of this machine while the body runs, where this is a deployment's run and there is one.

    It waits for a GPU that no other process holds. From then on this process sees no other: CUDA reads
    the variable once, so this comes before anything that asks CUDA.
    """
    from prefect.runtime import deployment

    found = gpus()
    if not found or deployment.id is None:
        yield
        return
    name, lock = _free(found)
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    try:
        yield
    finally:
        lock.release()


def _free(names: list[str]) -> tuple[str, FileLock]:
    """Return the first of these GPUs to be free, and its lock, held; this process may hold it twice."""
    locks = {name: _lock(name) for name in names}
    while True:
        for name, lock in locks.items():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return name, lock
        time.sleep(POLL_SECONDS)


def _lock(name: str) -> FileLock:
    path = home() / "gpus" / f"{socket.gethostname()}-{name.replace('/', '_')}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False, is_singleton=True)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Hold a GPU and a slot while the body runs, where this is a deployment's run and a GPU is there.

    Raises:
        ConcurrencySlotAcquisitionError: if the server has no such limit; without `strict` that
            would mean no limit at all.
    """
    from prefect.concurrency.sync import concurrency
    from prefect.runtime import deployment

    if not gpus() or deployment.id is None:
        yield
        return
    # A renewal that fails must not stop hours of training; the lease ends by itself if this process dies.
    slot = concurrency(LIMIT, occupy=1, strict=True, raise_on_lease_renewal_failure=False)
    with (
        own_gpu(),
        slot,
    ):  # in this order, since one that waits for a GPU would keep a slot from other machines
        yield


def in_gpu_slot(step: Callable[P, R]) -> Callable[P, R]:
    """Return `step`, run while holding a GPU and a slot."""

    @functools.wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with gpu_slot():
            return step(*args, **kwargs)

    return run


def gpu_of(number: int, devices: list[str]) -> dict[str, str]:
    """Return the variable that leaves a worker one GPU, by turns; none where there is no choice."""
    return {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} if len(devices) > 1 else {}
