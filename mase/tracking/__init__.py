"""Tracking: what a run tells the outside, and where it is kept.

What may live here: the `Tracker` protocol, its implementations, the names of metrics
and tags, and the functions that read runs back. `mlflow_tracker.py` is the only file
that imports MLflow; it is imported when one of the names below is first used, so that
importing this package takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mase.tracking.memory_tracker import MemoryTracker
from mase.tracking.protocol import Status, Tracker
from mase.tracking.record import DatasetRecord, RunRecord

if TYPE_CHECKING:
    from mase.tracking.mlflow_tracker import MlflowTracker, open_tracker
    from mase.tracking.reader import read_run, runs

_LAZY = {
    "MlflowTracker": "mase.tracking.mlflow_tracker",
    "open_tracker": "mase.tracking.mlflow_tracker",
    "read_run": "mase.tracking.reader",
    "runs": "mase.tracking.reader",
}

__all__ = [
    "DatasetRecord",
    "MemoryTracker",
    "MlflowTracker",
    "RunRecord",
    "Status",
    "Tracker",
    "open_tracker",
    "read_run",
    "runs",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
