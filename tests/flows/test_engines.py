"""Units on workers: the same numbers as here, the same runs, and a failure that stops one unit only."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.engines import Engine, EngineName, default_workers, here, prepare_worker, worker_environment
from flows.interruption import Interrupted, raise_interrupted
from flows.paper import mase_paper
from flows.reproduce import UnitsFailed, reproduce
from flows.request import Request
from mase.errors import ParamsError
from mase.tracking import runs
from tests.flows.conftest import TABLE


class Counter:
    """A counter as workers share one, in one process."""

    value = 0

    def get_lock(self) -> Any:
        return threading.Lock()


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


def test_workers_get_a_gpu_each_and_stop_on_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert default_workers() == 2
    before = signal.getsignal(signal.SIGTERM)
    counter, devices = Counter(), []
    try:
        for _ in range(3):
            prepare_worker(counter, ["4", "7"], {"OMP_NUM_THREADS": "1"})
            devices.append(os.environ["CUDA_VISIBLE_DEVICES"])
        assert signal.getsignal(signal.SIGTERM) is raise_interrupted
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert devices == ["4", "7", "4"]


def test_workers_know_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_TRACKING_URI", "http://store:5000")
    monkeypatch.setenv("PREFECT_API_URL", "http://server/api")
    monkeypatch.setenv("SECRET_OF_ANOTHER_PROGRAM", "x")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = worker_environment("3")
    assert found["MASE_TRACKING_URI"] == "http://store:5000" and found["OMP_NUM_THREADS"] == "3"
    assert found["PREFECT_API_URL"] == "http://server/api" and "SECRET_OF_ANOTHER_PROGRAM" not in found


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
