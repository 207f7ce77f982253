"""One training per GPU, over all flow runs and machines: a slot of the server's limit `gpu`.

`mase serve` makes the limit. A flow that is called as a function, or on a machine without a GPU,
takes no slot.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

LIMIT = "gpu"

P = ParamSpec("P")
R = TypeVar("R")


def visible_gpus() -> int:
    """Return how many GPUs this process may use, without touching CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return sum(name.removeprefix("nvidia").isdigit() for name in os.listdir("/dev") if "nvidia" in name)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Hold a slot while the body runs, where this is a deployment's run and a GPU is there.

    Raises:
        ConcurrencySlotAcquisitionError: if the server has no such limit; without `strict` that
            would mean no limit at all.
    """
    from prefect.concurrency.sync import concurrency
    from prefect.runtime import deployment

    if not visible_gpus() or deployment.id is None:
        yield
        return
    # A renewal that fails must not stop hours of training; the lease ends by itself if this process dies.
    with concurrency(LIMIT, occupy=1, strict=True, raise_on_lease_renewal_failure=False):
        yield


def in_gpu_slot(step: Callable[P, R]) -> Callable[P, R]:
    """Return `step`, run while holding a slot."""

    @functools.wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with gpu_slot():
            return step(*args, **kwargs)

    return run
