"""Where units are trained: one after another in this process, or several at a time by Prefect's task runners.

    local    in this process
    process  worker processes of this machine, a GPU each where there are several
    ray      a Ray cluster, or one that is started here (extra `ray`)
    dask     a Dask cluster, or one that is started here (extra `dask`)

Workers write into `$MASE_HOME` and `$MASE_TRACKING_URI`: on several machines the first must be a
folder that all of them see, the second a server.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, cast, get_args

from flows.interruption import raise_interrupted
from mase.artifacts import home
from mase.errors import ParamsError

EngineName = Literal["local", "process", "ray", "dask"]
EXTRAS = {"ray": "prefect_ray", "dask": "prefect_dask"}


class Started(Protocol):
    """A step that was begun; `result` waits for it and raises what it raised."""

    def result(self) -> Any: ...


Start = Callable[..., Started]


@dataclass(frozen=True)
class Engine:
    """Where units are trained.

    Attributes:
        name: see the module.
        workers: units at a time; None: one per GPU, else per two cores.
        address: of a running Ray or Dask cluster; None starts one on this machine.
    """

    name: EngineName = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out.

        Raises:
            ParamsError: if there is no such engine, or it takes no such setting.
        """
        if self.name not in get_args(EngineName):
            raise ParamsError(f"no engine {self.name!r}; there is: {', '.join(get_args(EngineName))}")
        if self.name == "local" and self.workers not in (None, 1):
            raise ParamsError("engine local trains one unit at a time; --workers needs --engine process")
        if self.address is not None and self.name not in EXTRAS:
            raise ParamsError(f"engine {self.name} has no cluster; --address is for ray and dask")

    def several(self) -> bool:
        """Return whether units are trained outside of this process."""
        return self.name != "local"

    @contextmanager
    def starting(self, step: Callable[..., Any]) -> Iterator[Start]:
        """Give a callable that starts `step`, a Prefect task, on this engine's workers.

        Raises:
            ParamsError: if the engine's package is not installed.
        """
        if "MASE_HOME" not in os.environ:
            os.environ["MASE_HOME"] = str(home())  # workers have working directories of their own
        try:
            runner = self._task_runner()
        except ImportError as cause:
            raise ParamsError(f"engine {self.name}: {cause}; pip install 'mase[{self.name}]'") from cause
        with runner:
            try:
                yield lambda **values: runner.submit(step, values)
            except BaseException:
                stop_workers()
                raise

    def _task_runner(self) -> Any:
        workers = self.workers or default_workers()
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        if self.name == "ray":
            from prefect_ray.task_runners import RayTaskRunner

            return RayTaskRunner(self.address, _ray_start(self.address, workers, threads))
        if self.name == "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            started = {"n_workers": workers, "threads_per_worker": 1, "env": worker_environment(threads)}
            return DaskTaskRunner(
                address=self.address, cluster_kwargs=None if self.address else cast(dict[str, Any], started)
            )
        from prefect.task_runners import ProcessPoolTaskRunner

        number = multiprocessing.get_context("spawn").Value("i", 0)
        gpus = _gpus()
        return ProcessPoolTaskRunner(
            workers, initializer=prepare_worker, initargs=(number, gpus, worker_environment(threads))
        )


def _ray_start(address: str | None, workers: int, threads: str) -> dict[str, Any]:
    """Return the arguments of `ray.init`; the size of a cluster that runs is its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"runtime_env": {"env_vars": worker_environment(threads)}, "log_to_driver": False}
    return common if address else {**common, "num_cpus": workers, "include_dashboard": False}


def worker_environment(threads: str) -> dict[str, str]:
    """Return the variables that a worker needs from here: stores, servers, quiet settings, threads."""
    names = ("MASE_", "MLFLOW_", "PREFECT_", "HF_", "NLTK_", "DO_NOT_TRACK", "TOKENIZERS_PARALLELISM")
    passed = {key: value for key, value in os.environ.items() if key.startswith(names)}
    return passed | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}


def prepare_worker(number: Any, gpus: list[str], variables: dict[str, str]) -> None:
    """Make a new worker process ready: its own GPU, its threads, and SIGTERM as an exception.

    Args:
        number: a shared counter of workers.
        gpus: ids to hand out in turn; none where there is one or no GPU.
    """
    with number.get_lock():
        mine, number.value = number.value, number.value + 1
    os.environ.update(variables)
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[mine % len(gpus)]
    signal.signal(signal.SIGTERM, raise_interrupted)


def stop_workers() -> None:
    """Ask this process's worker processes to stop; a unit that is being trained stays resumable."""
    for child in multiprocessing.active_children():
        child.terminate()


def default_workers() -> int:
    """Return a worker per GPU, else one per two cores."""
    return len(_gpus()) or max(1, (os.cpu_count() or 2) // 2)


def _gpus() -> list[str]:
    """Return the ids of the GPUs to share out, without touching CUDA; [] for fewer than two."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        found = [name for name in visible.split(",") if name.strip()]
    else:
        found = [path.removeprefix("nvidia") for path in os.listdir("/dev") if path.startswith("nvidia")]
        found = sorted((name for name in found if name.isdigit()), key=int)
    return found if len(found) > 1 else []


class Later:
    """A step of the local engine: it runs when its result is asked for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result = call


def here(step: Callable[..., Any]) -> Start:
    """Return a callable that starts `step` in this process, when its result is asked for."""
    return lambda **values: Later(partial(step, **values))
