"""`mase train --processes`: what is refused before anything starts, what ranks agree on, and a stop."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from flows.cli import app
from flows.commands import train as command
from flows.interruption import descendants, end_tree
from flows.single import one_unit
from mase import ranks
from mase.tracking import runs
from mase.units import Unit, train
from tests.conftest import ROOT

QUICK = ("training.max_steps=2", "allocation.iterations=2")
LONG = ("training.epochs=100", "allocation.iterations=50")
WORDS = ["train", "looks", "--profile", "smoke"]


def quick_unit(task: str = "looks") -> Unit:
    return one_unit(task, profile="smoke", methods=["text"], seed=0, overrides=QUICK)


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "PREFECT_HOME"}
    return kept | {"HOME": str(home.parent), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def mase(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def never_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(processes: int) -> int:
        raise AssertionError(f"{processes} processes were started")

    monkeypatch.setattr(command, "_launch", refuse)


@pytest.mark.usefixtures("never_launched")
@pytest.mark.parametrize(
    ("task", "family"), [("commongen", "generation"), ("vicomte_color", "cloze"), ("vqa_v2", "vqa")]
)
def test_what_cannot_be_shared_is_refused_before_a_process_starts(
    task: str, family: str, tmp_path: Path
) -> None:
    code, output, said = mase("train", task, "--data-dir", str(tmp_path), "--processes", "2")
    assert code == 2 and output == ""
    assert re.fullmatch(rf"error: several processes .* not of {family}; use one process a unit, .*\n", said)


@pytest.mark.usefixtures("never_launched")
def test_a_unit_in_use_or_done_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr(ranks, "leave", lambda: left.append(True))
    unit = quick_unit()
    unit.folder.mkdir(parents=True)
    words = [
        *WORDS,
        "--method",
        "text",
        *(word for line in QUICK for word in ("--set", line)),
        "--processes",
        "2",
    ]
    with FileLock(unit.folder / ".lock"):
        code, _, said = mase(*words)
    assert (
        code == 1
        and said == "error: another process trains text / looks / seed 0; run this again when it has ended\n"
    )
    train(unit, keep_model=True)
    code, output, _ = mase(*words)
    assert code == 0 and "(done before)" in output and left == [True]


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1:]:
    subprocess.Popen([sys.executable, __file__], start_new_session=True)
time.sleep(100)
"""


def test_what_does_not_end_when_asked_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script), "parent"], start_new_session=True)
    deadline = time.monotonic() + 30
    while not (children := descendants(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    end_tree(process, seconds=0.5)
    assert process.returncode == -signal.SIGKILL
    assert len(children) == 1
    psutil.wait_procs(children, timeout=10)
    assert not children[0].is_running()


def started(home: Path, log: Path, *words: str) -> "subprocess.Popen[Any]":
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *WORDS, *words, "--processes", "2"],
            cwd=ROOT,
            env=environment(home),
            stdout=stream,
            stderr=stream,
        )


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_stop_leaves_no_rank_and_the_unit_goes_on(mase_home: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = started(mase_home, log, *(word for line in LONG for word in ("--set", line)))
    below: list[psutil.Process] = []
    saved: set[int] = set()
    try:
        deadline = time.monotonic() + 300
        while len(saved) < 2:  # the first is of before the first step
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            saved |= {path.stat().st_mtime_ns for path in mase_home.glob("units/*/state/checkpoint.pt")}
            time.sleep(0.02)
        below = descendants(process.pid)
        started_ranks = [child for child in below if "LOCAL_RANK" in child.environ()]
        assert sorted(child.environ()["RANK"] for child in started_ranks) == ["0", "1"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=100) == 128 + signal.SIGINT
    finally:
        end_tree(process, 1)
    said = log.read_text()
    assert [child for child in below if child.is_running()] == []
    assert "KeyboardInterrupt" not in said and "SignalException" not in said, said
    assert said.count("Go on with:  mase train looks") == 1, said
    assert list(runs()["status"]) == ["KILLED"]
    assert first_step(one_unit("looks", profile="smoke", methods=["mase"], seed=0, overrides=LONG)) > 1


def first_step(unit: Unit) -> int:
    """Return the step that a unit's training begins with now."""
    steps: list[int] = []

    def note(stage: str, step: int, _: int) -> None:
        if stage == "train":
            steps.append(step)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(unit, progress=note)
    return steps[0]
