"""Kill -9 at awkward moments, run again: the same numbers, bit for bit, without beginning again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mase.units import train
from tests.conftest import ROOT
from tests.faults.train_two_units import units

COMMAND = [sys.executable, str(Path(__file__).with_name("train_two_units.py"))]
SECONDS = 90


def run_until(home: Path, log: Path, reached: Callable[[list[str]], bool]) -> list[str]:
    """Start the two units, kill -9 as soon as the moment is there, and return the lines printed.

    `reached` is asked with the lines so far. It fails if the process ends before; no process is left.
    """
    environment = {**os.environ, "MASE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with log.open("w") as out:
        process = subprocess.Popen(COMMAND, env=environment, stdout=out)
    try:
        deadline = time.monotonic() + SECONDS
        while not reached(whole_lines(log)):
            assert process.poll() is None, "the process ended before it could be killed"
            assert time.monotonic() < deadline, "the moment to kill never came"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    return whole_lines(log)


def whole_lines(log: Path) -> list[str]:
    """Return the lines that are written to their end."""
    return [line.rstrip() for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def steps_of(name: str, lines: list[str]) -> list[int]:
    """Return the optimiser steps that a unit said it had taken."""
    return [int(line.split()[2]) for line in lines if line.startswith(f"{name} train ")]


def results() -> tuple[list[tuple[dict[str, float], dict[str, float], pd.DataFrame, str]], list[str]]:
    """Train what is not done in this process; return what all units say, and the progress as lines."""
    found, lines = [], []
    for unit in units():
        name = unit.label
        result = train(
            unit, progress=lambda stage, step, _, name=name: lines.append(f"{name} {stage} {step}")
        )
        predictions = pd.read_parquet(result.folder / "predictions.parquet")
        allocation = (result.folder / "allocation.csv").read_text()
        found.append((result.metrics, result.allocation, predictions, allocation))
    return found, lines


def assert_same(left: list, right: list) -> None:
    for (m1, a1, p1, t1), (m2, a2, p2, t2) in zip(left, right, strict=True):
        assert (m1, a1, t1) == (m2, a2, t2)
        pd.testing.assert_frame_equal(p1, p2, check_exact=True)


@pytest.mark.slow
def test_runs_killed_in_an_m_step_and_between_units_end_like_one_that_was_not(tmp_path, monkeypatch):
    calm, rough, log = tmp_path / "calm", tmp_path / "rough", tmp_path / "lines"
    monkeypatch.setenv("MASE_HOME", str(calm))
    expected, lines = results()
    assert steps_of("mase", lines) == steps_of("text", lines) == list(range(1, 37))

    monkeypatch.setenv("MASE_HOME", str(rough))
    first, second = (unit.folder for unit in units())
    lines = run_until(rough, log, lambda lines: len(steps_of("mase", lines)) > 20)
    assert "mase iteration 3" in lines and not (first / "result.json").exists(), "killed in an M-step"

    lines = run_until(rough, log, lambda _: (first / "result.json").exists())
    assert steps_of("mase", lines)[0] in (15, 29), "it went on after the checkpoint before block 3 or 5"
    assert not (second / "result.json").exists(), "killed between units"

    lines = run_until(rough, log, lambda lines: len(steps_of("text", lines)) > 20)
    assert steps_of("mase", lines) == [], "a finished unit is not trained again"
    found, lines = results()
    assert steps_of("text", lines)[0] in (15, 29)
    assert_same(found, expected)
    assert not (first / "state").exists() and not (second / "state").exists(), "checkpoints go at the end"
