"""Units on workers: the same numbers as here, the same runs, and a failure that stops one unit only."""

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.engines import (
    Engine,
    EngineName,
    dask_cluster,
    default_workers,
    done_by,
    gpu_share,
    here,
    ray_start,
    with_variables,
    worker_environment,
)
from flows.paper import mase_paper
from flows.reproduce import UnitsFailed, reproduce
from flows.request import Request
from mase.errors import ParamsError
from mase.tracking import runs
from tests.flows.conftest import TABLE


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "spark"}, "no engine 'spark'; there is: local, process, ray, dask"),
        ({"name": "local", "workers": 2}, "--workers needs --engine process"),
        ({"name": "process", "address": "tcp://host:1"}, "--address is for ray and dask"),
    ],
)
def test_what_an_engine_cannot_do_is_said(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        Engine(**wrong)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray.task_runners", None)
    with (
        pytest.raises(ParamsError, match=r"pip install 'mase\[ray\]'"),
        Engine("ray", workers=1).starting(print),
    ):
        pass


def test_here_a_step_runs_when_its_result_is_asked_for() -> None:
    seen = []
    started = here(lambda number: seen.append(number) or number + 1)(number=3)
    assert seen == []
    assert started.result() == 4 and seen == [3]


def test_workers_know_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_TRACKING_URI", "http://store:5000")
    monkeypatch.setenv("PREFECT_API_URL", "http://server/api")
    monkeypatch.setenv("SECRET_OF_ANOTHER_PROGRAM", "x")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    found = worker_environment(3)
    assert found["MASE_TRACKING_URI"] == "http://store:5000" and found["OMP_NUM_THREADS"] == "3"
    assert found["PREFECT_API_URL"] == "http://server/api" and "SECRET_OF_ANOTHER_PROGRAM" not in found
    assert found["PREFECT_PLUGINS_ENABLED"] == "false" and found["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_NUM_THREADS" not in worker_environment()
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert worker_environment(3)["OMP_NUM_THREADS"] == worker_environment()["OMP_NUM_THREADS"] == "5"


def test_a_step_takes_its_variables_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_HOME", "/of-the-worker")
    monkeypatch.delenv("MASE_TRACKING_URI", raising=False)
    step = task(name="look", task_run_name="look at {key}")(os.getenv)
    variables = {"MASE_HOME": "/of-the-caller", "MASE_TRACKING_URI": "http://store"}
    sent: Any = done_by(step, partial(with_variables, variables))
    assert sent.fn("MASE_HOME") == "/of-the-caller" and sent.fn(key="MASE_TRACKING_URI") == "http://store"
    assert (sent.name, sent.task_run_name) == ("look", "look at {key}")
    assert step.fn("MASE_HOME") == "/of-the-worker" and "MASE_TRACKING_URI" not in os.environ


def test_workers_that_are_started_here_share_out_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    workers = dask_cluster(3, threads=2)["workers"]
    assert not logging.getLogger("distributed.scheduler").isEnabledFor(logging.INFO)
    assert [workers[k]["options"]["env"]["CUDA_VISIBLE_DEVICES"] for k in range(3)] == ["4", "7", "4"]
    assert ray_start(None, 3, threads=2)["num_gpus"] == 2
    assert "num_gpus" not in ray_start("ray://head:10001", 3, threads=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES" not in dask_cluster(1, threads=2)["workers"][0]["options"]["env"]
    assert ray_start(None, 1, threads=2)["num_gpus"] == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    assert default_workers() == 1


@pytest.mark.parametrize(
    ("workers", "there", "share"), [(1, 2, 1), (2, 2, 1), (3, 2, 0.5), (4, 2, 0.5), (5, 2, 1 / 3), (3, 0, 0)]
)
def test_units_share_a_gpu_where_there_are_more(workers: int, there: int, share: float) -> None:
    assert gpu_share(workers, there) == share


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server", "spawning")
@pytest.mark.parametrize("engine", ["process", "dask", "ray"])
def test_a_unit_sees_one_gpu(engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")  # neither Ray nor Dask looks whether they are there
    step = task(name="look", cache_policy=NO_CACHE, persist_result=False)(os.getenv)

    @flow
    def looking() -> list[str]:
        with Engine(engine, workers=2).starting(step) as start:
            return [begun.result() for begun in [start(key="CUDA_VISIBLE_DEVICES") for _ in range(4)]]

    assert set(looking()) <= {"4", "7"}


def predictions(home: Path) -> dict[str, pd.DataFrame]:
    return {p.parent.name: pd.read_parquet(p) for p in sorted(home.glob("units/*/predictions.parquet"))}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """What the local engine predicts, each unit's by its digest."""
    home = tmp_path_factory.mktemp("alone")
    (home / "tiny.yaml").write_text(TABLE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(home))
        reproduce(Request(profile="smoke", tables=(str(home / "tiny.yaml"),), seeds=1))
    return predictions(home)


@pytest.fixture
def spawning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worker processes be spawned from a pytest-xdist worker, whose main module cannot be run again."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        monkeypatch.delattr(main, "__file__")
    monkeypatch.setattr(main, "__spec__", None)


def assert_as_alone(home: Path, alone: dict[str, pd.DataFrame]) -> None:
    found = predictions(home)
    assert found.keys() == alone.keys() and len(found) == 3
    for digest, frame in found.items():
        pd.testing.assert_frame_equal(frame, alone[digest], rtol=1e-4)
    tracked = runs()
    assert sorted(tracked["kind"]) == ["cell"] * 3 + ["flow"] + ["seed"] * 3
    assert set(tracked["status"]) == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server", "spawning")
@pytest.mark.parametrize("engine", ["process", "dask"])
def test_workers_of_this_machine_predict_the_same(
    engine: EngineName, mase_home: Path, tiny_table: str, alone: dict[str, pd.DataFrame]
) -> None:
    made = mase_paper(profile="smoke", tables=[tiny_table], seeds=1, engine=engine, workers=2)
    assert made["trained"] == 3
    assert_as_alone(mase_home, alone)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server", "spawning")
def test_a_dask_cluster_that_runs_gets_the_stores_with_the_unit(
    mase_home: Path, tiny_table: str, alone: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    from distributed import LocalCluster

    elsewhere = {"MASE_HOME": str(tmp_path / "of-workers")}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, env=elsewhere) as cluster:
        made = mase_paper(
            profile="smoke", tables=[tiny_table], seeds=1, engine="dask", address=cluster.scheduler_address
        )
    assert made["trained"] == 3
    assert_as_alone(mase_home, alone)
    assert not (tmp_path / "of-workers").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server", "spawning")
def test_a_ray_cluster_of_two_nodes_predicts_the_same(
    mase_home: Path, tiny_table: str, alone: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        made = mase_paper(
            profile="smoke", tables=[tiny_table], seeds=1, engine="ray", address=cluster.address
        )
    finally:
        cluster.shutdown()
    assert made["trained"] == 3
    assert_as_alone(mase_home, alone)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server", "spawning")
def test_a_unit_that_fails_on_a_worker_leaves_the_others(mase_home: Path, tiny_table: str) -> None:
    text = Path(tiny_table).read_text(encoding="utf-8")
    wrong = (
        "\n  - {label: Diverges, group: method, overlays: [methods/mase], overrides: [training.lr_new=1e30]}"
    )
    Path(tiny_table).write_text(text.rstrip() + wrong, encoding="utf-8")
    with pytest.raises(UnitsFailed, match=r"Diverges / looks / seed 0: TrainingError.*not finite"):
        mase_paper(profile="smoke", tables=[tiny_table], seeds=1, engine="process", workers=2)
    assert len(predictions(mase_home)) == 3
    assert (runs()["status"] == "FAILED").sum() == 3  # the unit, its cell, the flow
