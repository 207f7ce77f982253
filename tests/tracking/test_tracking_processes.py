"""Runs written by several threads and processes, and by a process that is killed."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mase.tracking import Tracker, names, open_tracker, read_run, runs
from mase.tracking.mlflow_tracker import connect

SCRIPT = Path(__file__).with_name("logging_process.py")
PROJECT = Path(__file__).resolve().parents[2]


def start(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_fan_out_in_threads_and_processes_leaves_the_runs_that_were_asked_for(
    store: Path, experiment: str
) -> None:
    import mlflow

    race = f"{experiment}-race"
    parent = open_tracker("flow", experiment=experiment)
    processes = [start("children", parent.run_id, "2", race) for _ in range(3)]

    def in_thread(number: int) -> str:
        with parent.child(f"thread {number}") as tracker:
            assert mlflow.active_run() is None
            with tracker.child("seed") as seed:
                for step in range(20):
                    seed.metrics({names.DELTA: step}, step)
                    assert mlflow.active_run() is None
            return tracker.run_id

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(in_thread, range(4)))
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert err == ""
        made |= set(json.loads(out))
    parent.close()

    frame = runs(experiment)
    assert len(frame) == 1 + 4 + 4 + 3 * 2
    assert set(frame["status"]) == {"FINISHED"}
    assert set(frame.loc[frame["parent"] == parent.run_id, "run_id"]) == made
    assert set(frame.loc[frame["name"] == "seed", "parent"]) < made
    assert len(runs(race)) == 3
    assert runs("Default").empty


def test_a_fan_out_in_threads_leaves_the_runs_that_were_asked_for(store: Path, experiment: str) -> None:
    parent = open_tracker("flow", experiment=experiment)

    def in_thread(number: int) -> str:
        with parent.child(f"thread {number}") as tracker:
            tracker.metrics({names.DELTA: number})
        return tracker.run_id

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(in_thread, range(8)))
    assert set(runs(experiment)["run_id"]) == made | {parent.run_id}
    assert len(made) == 8


def read_until(process: "subprocess.Popen[str]", step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= step:
            return
    raise AssertionError(process.communicate()[1])


def history(run_id: str, key: str) -> list[int]:
    return sorted(point.step for point in connect().get_metric_history(run_id, key))


def test_a_run_whose_process_was_killed_goes_on_with_each_step_once(store: Path, experiment: str) -> None:
    run_id = open_tracker("killed", experiment=experiment).run_id
    process = start("steps", run_id)
    read_until(process, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL

    left = read_run(run_id)
    assert left.status == "RUNNING"
    reached = len(left.points[names.OBJECTIVE])
    assert reached >= 4
    last = reached + 3
    again: Tracker = open_tracker("again", run_id=run_id)
    with again:
        for step in range(last + 1):
            again.metrics({names.weight("image"): step / 10, names.OBJECTIVE: -step}, step)

    record = read_run(run_id)
    assert record.status == "FINISHED"
    assert record.tags[names.ATTEMPT] == "3"
    for key in (names.weight("image"), names.OBJECTIVE):
        assert history(run_id, key) == list(range(last + 1))
    assert record.trajectory(names.OBJECTIVE) == [(step, float(-step)) for step in range(last + 1)]
