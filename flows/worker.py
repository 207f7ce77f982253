"""Run a worker so that its flow runs stop with it, each with its tracked runs closed.

Prefect's own worker ends at once and leaves them: they have sessions of their own and train on, and
what they say goes into a pipe that nobody reads, which ends them before they can close anything.
"""

import subprocess
import sys
import time

import psutil

STOP_SECONDS = 60.0
POLL_SECONDS = 0.1


def pool_worker(work_pool: str, limit: int) -> list[str]:
    """Return the command of a worker of a pool."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", work_pool, "--type", "process"]
    return [*command, "--limit", str(limit)]


def run_worker(command: list[str]) -> int:
    """Run a worker until it ends, and return its exit code; an exception stops it and its flow runs."""
    worker = psutil.Popen(command, start_new_session=True)  # Ctrl-C reaches this process alone
    try:
        return worker.wait()
    finally:
        if worker.is_running():
            _stop(worker)


def _stop(worker: psutil.Popen) -> None:
    """Stop flow runs, while their worker is held so that it takes no other, and then the worker."""
    worker.suspend()
    try:
        _stop_processes(worker.children())
    finally:
        worker.resume()
        worker.terminate()
        try:
            worker.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()


def _stop_processes(processes: list[psutil.Process]) -> None:
    """Ask processes to stop and wait for them; what is then left of them, or below them, is killed."""
    family: list[psutil.Process] = []
    for process in processes:
        try:
            family += [process, *process.children(recursive=True)]
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + STOP_SECONDS
    while (
        left := [process for process in family if not _has_ended(process)]
    ) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in left:
        process.kill()


def _has_ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or waits for its held parent to take note of its end."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
