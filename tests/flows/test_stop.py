"""Ctrl-C and SIGTERM in real processes: what is said, and what is tracked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mase.tracking import runs

LONG = ["--set", "training.epochs=400", "--set", "allocation.iterations=50"]


def stop(words: list[str], number: int, ready: Callable[[str], bool], log: Path) -> tuple[int, str]:
    """Run the command line, send it a signal when it is ready; return exit code and what it said."""
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_HOME"}
    environment |= {"HOME": str(log.parent), "PREFECT_LOGGING_LEVEL": "INFO"}  # logs to send before it ends
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "flows.cli", *words]
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 100
        while not ready(log.read_text(encoding="utf-8")):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        process.send_signal(number)
        return process.wait(timeout=60), log.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("engine", "cells", "number", "seed"),
    [
        ("local", 1, signal.SIGTERM, "KILLED"),
        ("process", 3, signal.SIGTERM, "KILLED"),  # what is sent ahead to workers is announced
        ("ray", 3, signal.SIGINT, "RUNNING"),  # Ray stops its wait as for Ctrl-C, and kills its workers
    ],
)
def test_a_stopped_flow_closes_its_runs_and_says_how_to_go_on(
    tmp_path: Path, mase_home: Path, tiny_table: str, engine: str, cells: int, number: int, seed: str
) -> None:
    """A flow with worker processes stops them, and they leave; else it would wait for them."""
    words = ["reproduce", "--profile", "smoke", "--table", tiny_table, "--seeds", "1", *LONG]
    words += ["--engine", engine, "--workers", "1"]

    def trains(_: str) -> bool:
        return any(mase_home.glob("units/*/state/*"))

    code, said = stop(words, signal.SIGTERM, trains, tmp_path / "log")
    assert code == 128 + number
    assert f"Go on with:  mase reproduce --profile smoke --table {tiny_table}" in said
    assert "Traceback" not in said
    found = runs()
    assert list(found["kind"]) == ["flow", *["cell"] * cells, "seed"]
    assert list(found["status"]) == ["KILLED"] * (1 + cells) + [seed]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_stopped_unit_closes_its_run_and_says_how_to_go_on(tmp_path: Path, mase_home: Path) -> None:
    words = ["train", "looks", "--profile", "smoke", *LONG]

    def trains(_: str) -> bool:
        return any(mase_home.glob("units/*/state/*"))

    code, said = stop(words, signal.SIGINT, trains, tmp_path / "log")
    assert code == 128 + signal.SIGINT
    assert "Go on with:  mase train looks --profile smoke" in said
    assert "Traceback" not in said
    assert list(runs()["status"]) == ["KILLED"]
