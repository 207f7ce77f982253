"""What every tracker does: the `Tracker` protocol.

A tracker is one run. It is passed down explicitly; there is no "current run" of a
thread or a process. Another process continues a run by its id: trackers themselves
do not travel.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """One tracked run.

    As a context manager it closes itself: FINISHED, or FAILED on an exception, or KILLED on
    a stop (`KeyboardInterrupt`, `SystemExit` and whatever else is no `Exception`), with the
    reason as a tag. Every method raises `TrackingError` if the run is closed or the store
    refuses.
    """

    run_id: str

    def params(self, values: Mapping[str, Any]) -> None:
        """Record params once; nested mappings become dotted keys.

        Raises:
            TrackingError: if a key was recorded before with another value.
        """
        ...

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step.

        A (key, step) that the run had when this tracker opened it is kept as it is,
        so a resumed run may repeat its last steps.

        Raises:
            TrackingError: if this tracker recorded another value at the same key and step.
        """
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags; the last value of a key stands."""
        ...

    def dataset(self, name: str, *, digest: str, source: str, context: str, rows: int) -> None:
        """Record that the run used a data set, `context` saying for what ("train", "dev")."""
        ...

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file (a figure, say) or of a folder and all in it."""
        ...

    def table(self, name: str, frame: "pd.DataFrame") -> None:
        """Keep a table, as `tables/<name>.csv`; a later one of the same name replaces it."""
        ...

    def child(self, name: str, tags: Mapping[str, str] = {}) -> "Tracker":
        """Return a new run below this one."""
        ...

    def close(self, status: Status = "FINISHED", reason: str = "") -> None:
        """End the run; ending it again in the same way does nothing."""
        ...

    def __enter__(self) -> "Tracker": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
