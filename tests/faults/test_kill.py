"""Kill -9 at awkward moments, run again: the same numbers, bit for bit."""

import os
import signal
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


def start(home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MASE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL)


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Kill -9 as soon as the moment is there; fail if the process ends before."""
    deadline = time.monotonic() + 90
    while not reached():
        assert process.poll() is None, "the process ended before it could be killed"
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def results() -> list[tuple[dict[str, float], dict[str, float], pd.DataFrame, str]]:
    """Train what is not done in this process, and return what all units say."""
    found = []
    for unit in units():
        result = train(unit)
        predictions = pd.read_parquet(result.folder / "predictions.parquet")
        found.append(
            (result.metrics, result.allocation, predictions, (result.folder / "allocation.csv").read_text())
        )
    return found


def assert_same(left: list, right: list) -> None:
    for (m1, a1, p1, t1), (m2, a2, p2, t2) in zip(left, right, strict=True):
        assert (m1, a1, t1) == (m2, a2, t2)
        pd.testing.assert_frame_equal(p1, p2, check_exact=True)


@pytest.mark.slow
def test_runs_killed_in_an_m_step_and_between_units_end_like_one_that_was_not(tmp_path, monkeypatch):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    monkeypatch.setenv("MASE_HOME", str(calm))
    expected = results()
    monkeypatch.setenv("MASE_HOME", str(rough))
    first, second = (unit.folder for unit in units())
    kill_when(start(rough), (first / "state" / "checkpoint.pt").exists)
    assert not (first / "result.json").exists(), "killed in an M-step"
    kill_when(start(rough), (first / "result.json").exists)
    assert not (second / "result.json").exists(), "killed between units"
    assert_same(results(), expected)
    assert not (first / "state").exists(), "checkpoints go once the result is there"
