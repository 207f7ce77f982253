"""A worker process of the engine `process`: how it begins, trains a unit, and ends when it is asked to.

A worker that is stopped leaves, and the pool sees that it is gone. It must not report `Interrupted` instead:
the pool's own thread ends on what is no `Exception`, and then nobody ends the other workers.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection
from types import FrameType
from typing import Any

from flows.environment import variables_set
from flows.gpu import gpu_of
from flows.interruption import Interrupted

GRACE = 60.0  # seconds that a unit has to close its run
_own: dict[str, str] = {}  # variables of this process; Prefect sets the caller's before each step
_training = threading.Event()
_stopped = threading.Event()


def prepare_worker(number: Any, devices: list[str], variables: dict[str, str]) -> None:
    """Make a new worker process ready: its own GPU, its threads, and who may stop it.

    Args:
        number: a shared counter of workers.
        devices: the GPUs to hand out.
    """
    with number.get_lock():
        mine, number.value = number.value, number.value + 1
    _own.update(variables | gpu_of(mine, devices))
    os.environ.update(_own)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal
    signal.signal(signal.SIGTERM, stop_this_worker)


def stop_this_worker(number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM: end the unit that is being trained, or else this process; asked again, go on ending."""
    if _stopped.is_set():
        return
    _stopped.set()
    if _training.is_set():
        raise Interrupted(number)
    leave(number)


def train_here(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do a step's work in this worker; leave when it was stopped, once it has closed what it opened."""
    _training.set()
    try:
        with variables_set(_own):
            return work(*args, **kwargs)
    except Interrupted as cause:
        leave(cause.number)
    finally:
        _training.clear()


def leave(number: int) -> None:
    """End this process at once, as by a signal."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + number)


def stop_workers(seconds: float = GRACE) -> None:
    """Ask this process's worker processes to end, wait, and kill those that do not."""
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    left = {worker.sentinel for worker in workers}
    try:
        while left and (gone := connection.wait(list(left), seconds)):
            left.difference_update(gone)
    finally:  # also at a second Ctrl-C
        for worker in workers:
            if worker.sentinel in left:
                worker.kill()
