"""Prefect tasks: the steps of `flows.steps` under the names that a user sees.

Nothing is cached by Prefect: units and artifacts are found by their digests, and a cache that
knows only the text of a task would go stale when the code below it changes. No task retries
either: a unit that is run again resumes from its checkpoint, and no step downloads on the
default path.
"""

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.gpu import in_gpu_slot
from flows.outputs import write_tables


def _task(name: str, function: Callable[..., Any], run_name: str | None = None) -> Callable[..., Any]:
    return task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)(function)


TASKS = steps.Steps(
    prepare=_task("prepare", steps.prepare),
    graphs=_task("graphs", steps.graphs),
    proxies=_task("proxies", steps.proxies),
    train=_task("train", in_gpu_slot(steps.train), "train: {label}"),
    tables=_task("tables", write_tables),
)
