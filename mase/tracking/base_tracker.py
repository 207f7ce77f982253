"""The rules that all trackers share; the stores only write.

Params are written once. A metric has one value at each step: the first one that
reached the store. NaN is kept as NaN; an infinity is stored as NaN too, because
MLflow's SQL stores turn it into +-1.8e308, which ruins every chart and mean; both are
listed in the tag `mase.non_finite` with what they were.
"""

import json
import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from mase.errors import TrackingError
from mase.tracking import names
from mase.tracking.protocol import Status

if TYPE_CHECKING:
    import pandas as pd

TAG_LIMIT = 8000  # characters, MLflow's limit; longer values are cut here, visibly
NON_FINITE_LISTED = 50  # points named in the tag
KEY = re.compile(r"[\w.\-/ :]{1,250}")  # what every MLflow store accepts as a name

Self = TypeVar("Self", bound="BaseTracker")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return dotted keys and text values; whatever is not text is written as JSON."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value if isinstance(value, str) else _as_json(value)
    return flat


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def cut(text: str, limit: int = TAG_LIMIT) -> str:
    """Return the text, or its beginning and the number of characters left out."""
    if len(text) <= limit:
        return text
    ending = f"... ({len(text)} characters)"
    return text[: limit - len(ending)] + ending


def check_keys(keys: Iterable[str]) -> None:
    """Refuse names that a store would refuse.

    Raises:
        TrackingError: with all of them.
    """
    wrong = [key for key in keys if not KEY.fullmatch(key)]
    if wrong:
        raise TrackingError(
            f"not usable as names: {wrong}; at most 250 letters, digits, spaces and _ - . / :"
        )


def as_number(key: str, value: Any) -> float:
    """Return a metric's value as a float.

    Raises:
        TrackingError: if it is not a number.
    """
    try:
        return float(value)
    except (TypeError, ValueError) as cause:
        raise TrackingError(f"metric {key!r}: {value!r} is not a number") from cause


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


class BaseTracker(ABC):
    """A tracker without a store. Safe to use from several threads."""

    def __init__(self, run_id: str, *, reopened: bool) -> None:
        self.run_id = run_id
        self._lock = threading.RLock()
        self._reopened = reopened
        self._status: Status | None = None
        self._params: dict[str, str] | None = None if reopened else {}
        self._earlier: dict[str, frozenset[int]] = {}
        self._written: dict[tuple[str, int], float] = {}
        self._non_finite: list[str] | None = None if reopened else []

    @abstractmethod
    def _read_params(self) -> dict[str, str]: ...
    @abstractmethod
    def _read_steps(self, key: str) -> frozenset[int]: ...
    @abstractmethod
    def _read_tag(self, key: str) -> str: ...
    @abstractmethod
    def _write_params(self, values: dict[str, str]) -> dict[str, str]: ...
    @abstractmethod
    def _write_metrics(self, values: dict[str, float], step: int) -> None: ...
    @abstractmethod
    def _write_tags(self, values: dict[str, str]) -> None: ...
    @abstractmethod
    def _write_dataset(self, name: str, digest: str, source: str, context: str, rows: int) -> None: ...
    @abstractmethod
    def _write_artifact(self, path: Path, folder: str) -> None: ...
    @abstractmethod
    def _write_table(self, name: str, frame: "pd.DataFrame") -> None: ...
    @abstractmethod
    def _write_end(self, status: Status) -> None: ...
    @abstractmethod
    def _stored_form(self, key: str, value: str) -> str: ...
    @abstractmethod
    def _new_child(self, name: str, tags: Mapping[str, str]) -> "BaseTracker": ...

    def params(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.params`."""
        with self._lock:
            self._check_open()
            if self._params is None:
                self._params = self._read_params()
            flat = flatten(values)
            check_keys(flat)
            changed = [
                f"{key} was {self._params[key]!r}, now {value!r}"
                for key, value in flat.items()
                if key in self._params and self._params[key] != self._stored_form(key, value)
            ]
            if changed:
                raise TrackingError(
                    f"run {self.run_id}: params cannot change once recorded: {'; '.join(changed)}; "
                    "resume with the params of the first attempt, or start a new run"
                )
            new = {key: value for key, value in flat.items() if key not in self._params}
            self._params |= self._write_params(new)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """See `Tracker.metrics`."""
        with self._lock:
            self._check_open()
            check_keys(values)
            numbers = {key: as_number(key, value) for key, value in values.items()}
            new: dict[str, float] = {}
            for key, value in numbers.items():
                if step in self._steps_before(key):
                    continue
                written = self._written.get((key, step))
                if written is None:
                    new[key] = value
                elif not _same(written, value):
                    raise TrackingError(
                        f"run {self.run_id}: metric {key!r} has {written} at step {step} already, "
                        f"and now {value}; give each value its own step"
                    )
            self._write_metrics({k: v if math.isfinite(v) else math.nan for k, v in new.items()}, step)
            self._written |= {(key, step): value for key, value in new.items()}
            self._tell_non_finite({k: v for k, v in new.items() if not math.isfinite(v)}, step)

    def tags(self, values: Mapping[str, str]) -> None:
        """See `Tracker.tags`."""
        with self._lock:
            self._check_open()
            check_keys(values)
            self._write_tags({key: cut(str(value)) for key, value in values.items()})

    def dataset(self, name: str, *, digest: str, source: str, context: str, rows: int) -> None:
        """See `Tracker.dataset`."""
        with self._lock:
            self._check_open()
            self._write_dataset(name, digest, source, context, rows)

    def artifact(self, path: Path, folder: str = "") -> None:
        """See `Tracker.artifact`."""
        with self._lock:
            self._check_open()
            if not path.exists():
                raise TrackingError(f"run {self.run_id}: there is no {path} to keep")
            self._write_artifact(path, folder)

    def table(self, name: str, frame: "pd.DataFrame") -> None:
        """See `Tracker.table`."""
        with self._lock:
            self._check_open()
            self._write_table(name, frame)

    def child(self, name: str, tags: Mapping[str, str] = {}) -> "BaseTracker":
        """See `Tracker.child`."""
        with self._lock:
            self._check_open()
            return self._new_child(name, tags)

    def close(self, status: Status = "FINISHED", reason: str = "") -> None:
        """See `Tracker.close`."""
        with self._lock:
            if self._status is not None:
                if self._status != status:
                    raise TrackingError(f"run {self.run_id} is {self._status} already, it cannot be {status}")
                return
            if reason:
                self._write_tags({names.REASON: cut(reason)})
            self._write_end(status)
            self._status = status

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:  # closed inside the block, by its owner
            return
        if error is None:
            self.close()
            return
        stopped = not isinstance(
            error, Exception
        )  # KeyboardInterrupt, SystemExit, a flow engine's stop signal
        self.close("KILLED" if stopped else "FAILED", f"{type(error).__name__}: {error}")

    def __reduce__(self) -> str:
        raise TypeError("a tracker does not travel between processes: pass its run_id to open_tracker there")

    def _check_open(self) -> None:
        if self._status is not None:
            raise TrackingError(f"run {self.run_id} is {self._status}: open it again by its run id to go on")

    def _steps_before(self, key: str) -> frozenset[int]:
        if not self._reopened:
            return frozenset()
        if key not in self._earlier:
            self._earlier[key] = self._read_steps(key)
        return self._earlier[key]

    def _tell_non_finite(self, values: dict[str, float], step: int) -> None:
        if not values:
            return
        if self._non_finite is None:
            before = self._read_tag(names.NON_FINITE)
            self._non_finite = before.split(", ") if before else []
        self._non_finite += [f"{key}@{step}={value}" for key, value in values.items()]
        self._write_tags({names.NON_FINITE: cut(", ".join(self._non_finite[:NON_FINITE_LISTED]))})
