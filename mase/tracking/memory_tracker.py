"""A tracker that keeps runs in a dictionary: for tests and for scripts without a store."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mase.errors import TrackingError
from mase.tracking import names
from mase.tracking.base_tracker import BaseTracker, cut
from mase.tracking.protocol import Status
from mase.tracking.record import DatasetRecord, RunRecord

if TYPE_CHECKING:
    import pandas as pd


class MemoryTracker(BaseTracker):
    """A run in memory, with the same rules as a run in MLflow.

    Args:
        name: the run's name.
        parent: run id of the parent.
        run_id: re-open this run of `runs` instead of making one.
        experiment: the experiment's name.
        tags: tags to set.
        runs: the store, shared by all runs of a tree; by default a new one.

    Raises:
        TrackingError: if `runs` has no run `run_id` or `parent`.
    """

    def __init__(
        self,
        name: str = "run",
        *,
        parent: str | None = None,
        run_id: str | None = None,
        experiment: str = "mase",
        tags: Mapping[str, str] = {},
        runs: dict[str, RunRecord] | None = None,
    ) -> None:
        super().__init__(run_id or uuid.uuid4().hex, reopened=run_id is not None)
        self.runs = {} if runs is None else runs
        self.tables: dict[str, pd.DataFrame] = {}
        if parent is not None and parent not in self.runs:
            raise TrackingError(f"no run {parent} in memory to be the parent of {name!r}")
        if run_id is None:
            record = RunRecord(self.run_id, name, experiment)
            record.tags = {names.RUN_NAME: name, names.ATTEMPT: "1"}
            record.tags |= {names.PARENT: parent} if parent else {}
            self.runs[self.run_id] = record
        elif run_id not in self.runs:
            raise TrackingError(f"no run {run_id} in memory")
        else:
            self.record.status = "RUNNING"
            self.record.tags[names.ATTEMPT] = str(int(self.record.tags[names.ATTEMPT]) + 1)
        self.record.tags |= {key: cut(str(value)) for key, value in tags.items()}

    @property
    def record(self) -> RunRecord:
        """What has been recorded of this run."""
        return self.runs[self.run_id]

    def _read_params(self) -> dict[str, str]:
        return dict(self.record.params)

    def _read_steps(self, key: str) -> frozenset[int]:
        return frozenset(self.record.points.get(key, {}))

    def _read_tag(self, key: str) -> str:
        return self.record.tags.get(key, "")

    def _stored_form(self, key: str, value: str) -> str:
        return value

    def _write_params(self, values: dict[str, str]) -> dict[str, str]:
        self.record.params |= values
        return values

    def _write_metrics(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            self.record.points.setdefault(key, {})[step] = value

    def _write_tags(self, values: dict[str, str]) -> None:
        self.record.tags |= values

    def _write_dataset(self, name: str, digest: str, source: str, context: str, rows: int) -> None:
        record = DatasetRecord(name, digest, source, context, rows)
        if record not in self.record.datasets:
            self.record.datasets.append(record)

    def _keep(self, *paths: str) -> None:
        self.record.artifacts = sorted({*self.record.artifacts, *paths})

    def _write_artifact(self, path: Path, folder: str) -> None:
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        self._keep(*(str(Path(folder) / p.relative_to(path.parent)) for p in files))

    def _write_table(self, name: str, frame: "pd.DataFrame") -> None:
        self.tables[name] = frame.copy()
        self._keep(f"tables/{name}.csv", f"tables/{name}.json")

    def _write_end(self, status: Status) -> None:
        self.record.status = status

    def _new_child(self, name: str, tags: Mapping[str, str]) -> "MemoryTracker":
        return MemoryTracker(
            name, parent=self.run_id, experiment=self.record.experiment, tags=tags, runs=self.runs
        )
