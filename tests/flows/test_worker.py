"""A stopped worker takes its flow runs along, and they can still speak and close what they have open."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

# As Prefect's worker does: its flow run has a session of its own and speaks through a pipe.
WORKER = """
import subprocess, sys
run = subprocess.Popen([sys.executable, "-u", "-c", sys.argv[1], sys.argv[2]],
                       stdout=subprocess.PIPE, start_new_session=True)
for line in run.stdout:
    print(line.decode().strip(), flush=True)
"""
FLOW_RUN = """
import pathlib, signal, sys, time
def stop(number, frame):
    print("said at the end", flush=True)
    time.sleep(0.3)
    print("closed", flush=True)
    pathlib.Path(sys.argv[1]).write_text("closed")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("trains", flush=True)
while True:
    time.sleep(0.1)
"""
SUPERVISOR = """
import sys
from flows.interruption import Interrupted, termination_as_exception
from flows.worker import run_worker
with termination_as_exception():
    try:
        sys.exit(run_worker([sys.executable, "-c", *sys.argv[1:]]))
    except KeyboardInterrupt:
        sys.exit(7)
"""


def supervise(worker: str, closed: Path, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as stream:
        command = [sys.executable, "-c", SUPERVISOR, worker, FLOW_RUN, str(closed)]
        return subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)


def is_alive(process: psutil.Process) -> bool:
    """A process that has ended may stay as a zombie, where nobody takes note of it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_flow_runs_are_closed_before_their_worker_ends(tmp_path: Path, number: signal.Signals) -> None:
    closed, log = tmp_path / "closed", tmp_path / "log"
    process = supervise(WORKER, closed, log)
    family: list[psutil.Process] = []
    still_there: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        while "trains" not in log.read_text(encoding="utf-8"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        os.killpg(process.pid, number)  # as a terminal does
        assert process.wait(timeout=60) == 7
    finally:
        for child in filter(is_alive, family):
            still_there.append(child)
            child.kill()
        process.kill()
    assert closed.read_text(encoding="utf-8") == "closed"
    assert not still_there


def test_the_exit_code_of_a_worker_is_returned(tmp_path: Path) -> None:
    process = supervise("import sys; sys.exit(3)", tmp_path / "closed", tmp_path / "log")
    assert process.wait(timeout=60) == 3
