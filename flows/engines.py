"""Where units are trained: one after another in this process, or several at a time by Prefect's task runners.

    local    in this process
    process  worker processes of this machine
    ray      a Ray cluster, or one that is started here (extra `ray`)
    dask     a Dask cluster, or one that is started here (extra `dask`)

Workers that are started here have a GPU each where there are any, and so has a unit on a Ray cluster with
GPUs. The workers of a Dask cluster have what they were started with.

Workers write into `$MASE_HOME` and `$MASE_TRACKING_URI`: on several machines the first must be a
folder that all of them see, the second a server.
"""

import copy
import functools
import logging
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, cast, get_args

from flows.environment import variables_set
from flows.gpu import gpu_of, gpus
from flows.interruption import termination_as_exception
from flows.pool_worker import prepare_worker, stop_workers, train_here
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
        os.environ["MASE_HOME"] = str(home())  # workers have working directories of their own
        try:
            runner = self._task_runner()
        except ImportError as cause:
            raise ParamsError(f"engine {self.name}: {cause}; pip install 'mase[{self.name}]'") from cause
        if self.name == "process":
            step = done_by(step, train_here)
        if self.name == "dask" and self.address:
            step = done_by(step, partial(with_variables, worker_environment()))
        with runner, self._gpu_each(), self._stoppable():
            try:
                yield lambda **values: runner.submit(step, values)
            except BaseException:
                if self.name == "process":
                    stop_workers()
                raise

    def _task_runner(self) -> Any:
        workers = self.workers or default_workers()
        threads = max(1, (os.cpu_count() or 1) // workers)
        if self.name == "ray":
            from prefect_ray.task_runners import RayTaskRunner

            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            return RayTaskRunner(self.address, ray_start(self.address, workers, threads))
        if self.name == "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            if self.address:
                return DaskTaskRunner(address=self.address)
            return DaskTaskRunner(
                cluster_class="distributed.SpecCluster", cluster_kwargs=dask_cluster(workers, threads)
            )
        from prefect.task_runners import ProcessPoolTaskRunner

        number = multiprocessing.get_context("spawn").Value("i", 0)
        return ProcessPoolTaskRunner(
            workers, initializer=prepare_worker, initargs=(number, gpus(), worker_environment(threads))
        )

    def _stoppable(self) -> AbstractContextManager[None]:
        """Have SIGTERM stop a flow that waits for Ray, which would end without a word, or go on.

        Ray passes it on as Ctrl-C, so the exit code is that of Ctrl-C.
        """
        if self.name != "ray" or threading.current_thread() is not threading.main_thread():
            return nullcontext()
        return termination_as_exception()

    def _gpu_each(self) -> AbstractContextManager[None]:
        """Have Ray give each unit a GPU, where its cluster has any; the other engines do so by worker."""
        if self.name != "ray":
            return nullcontext()
        import ray
        from prefect_ray.context import remote_options

        there = int(ray.cluster_resources().get("GPU", 0))
        workers = there if self.address else self.workers or default_workers()
        return cast(AbstractContextManager[None], remote_options(num_gpus=gpu_share(workers, there)))


def gpu_share(workers: int, there: int) -> float:
    """Return the part of a GPU that a unit has, where so many units share these GPUs."""
    return 1 / math.ceil(workers / there) if there else 0


def ray_start(address: str | None, workers: int, threads: int) -> dict[str, Any]:
    """Return the arguments of `ray.init`; a cluster that runs has its own size and threads."""
    if address:
        return {"runtime_env": {"env_vars": worker_environment()}, "log_to_driver": False}
    return {
        "runtime_env": {"env_vars": worker_environment(threads)},
        "log_to_driver": False,
        "num_cpus": workers,
        "num_gpus": len(gpus()),
        "include_dashboard": False,
    }


def dask_cluster(workers: int, threads: int) -> dict[str, Any]:
    """Return the arguments of a Dask cluster of this machine.

    Dask's own `LocalCluster` gives all workers the same variables, and each a share of the memory that
    it ends them for.
    """
    from distributed import Nanny, Scheduler

    logging.getLogger("distributed").setLevel(logging.WARNING)  # Prefect would show what it passes on
    quiet = {"silence_logs": logging.WARNING}
    common = quiet | {"host": "127.0.0.1", "nthreads": 1, "memory_limit": 0, "dashboard": False}
    devices, variables = gpus(), worker_environment(threads)
    return quiet | {
        "scheduler": {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}},
        "workers": {
            number: {"cls": Nanny, "options": common | {"env": variables | gpu_of(number, devices)}}
            for number in range(workers)
        },
    }


def worker_environment(threads: int | None = None) -> dict[str, str]:
    """Return the variables that a worker needs from here: stores, servers, quiet settings, threads.

    Args:
        threads: of a worker, unless OMP_NUM_THREADS says; None: what the worker itself has.
    """
    names = ("MASE_", "MLFLOW_", "PREFECT_", "HF_", "NLTK_", "DO_NOT_TRACK", "TOKENIZERS_PARALLELISM", "OMP_")
    passed = {key: value for key, value in os.environ.items() if key.startswith(names)}
    passed |= {"PREFECT_PLUGINS_ENABLED": "false"}  # ours finds the server; Dask could not run it
    return passed if threads is None else {"OMP_NUM_THREADS": str(threads)} | passed


def done_by(step: Callable[..., Any], worker: Callable[..., Any]) -> Any:
    """Return a Prefect task whose work is done by `worker(work, *args, **kwargs)` where it runs."""
    original: Any = step
    work, carried = original.fn, copy.copy(original)

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        return worker(work, *args, **kwargs)

    carried.fn = run
    return carried


def with_variables(variables: dict[str, str], work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do a step's work with these variables set."""
    with variables_set(variables):
        return work(*args, **kwargs)


def default_workers() -> int:
    """Return a worker per GPU, else one per two cores."""
    return len(gpus()) or max(1, (os.cpu_count() or 2) // 2)


class Later:
    """A step of the local engine: it runs when its result is asked for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result = call


def here(step: Callable[..., Any]) -> Start:
    """Return a callable that starts `step` in this process, when its result is asked for."""
    return lambda **values: Later(partial(step, **values))
