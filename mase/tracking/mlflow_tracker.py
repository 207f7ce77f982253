"""The tracker over MLflow: explicit run ids, never a thread's "active run".

The store is `$MASE_TRACKING_URI`, by default `<home>/mlflow.db` (SQLite) with artifacts
under `<home>/mlartifacts`. Limits of MLflow that are met on purpose: 100 params and
1,000 metrics a request, 6,000 characters a param (a longer one is cut, with its digest,
and kept whole as an artifact).
"""

import functools
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Read by MLflow when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mase.artifacts import home
from mase.errors import TrackingError
from mase.tracking import names
from mase.tracking.address import (
    cleaned,
    sqlite_file,
    sqlite_opened,
    tracking_uri,
    without_credentials,
)
from mase.tracking.base_tracker import BaseTracker, cut
from mase.tracking.holding import signals_held
from mase.tracking.protocol import Status
from mase.tracking.provenance import source_commit

if TYPE_CHECKING:
    import pandas as pd

PARAM_LIMIT = 6000  # characters
PARAMS_PER_REQUEST = 100
METRICS_PER_REQUEST = 1000
DIGEST_LIMIT = 36  # characters of a data set's digest

for _noisy in ("mlflow", "alembic"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn MLflow's exceptions into `TrackingError`, saying what was being done; signals wait for its end.

    Credentials are left out of the message; a cause that names them is left out too.
    """
    try:
        with signals_held():
            yield
    except MlflowException as cause:
        said = cleaned(cause.message)
        raise TrackingError(f"{cleaned(doing)}: {said}") from (cause if said == cause.message else None)


def connect() -> MlflowClient:
    """Return a client of the store, which is created where it is a SQLite file that is not there yet.

    Raises:
        TrackingError: if the store cannot be opened.
    """
    return _connect(tracking_uri())


@functools.lru_cache(maxsize=8)
def _connect(uri: str) -> MlflowClient:
    path = sqlite_file(uri)
    with sqlite_opened(path) if path else nullcontext(), store_errors(f"opening {uri}"):
        return MlflowClient(tracking_uri=uri)


def experiment_id(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, created if need be; several processes may ask at once.

    Raises:
        TrackingError: if the experiment is deleted or the store refuses.
    """
    with store_errors(f"experiment {name!r}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            location = None if tracking_uri().startswith("http") else (home() / "mlartifacts").as_uri()
            try:
                return client.create_experiment(name, artifact_location=location)
            except MlflowException as cause:
                if cause.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(f"experiment {name!r} is deleted; restore it in MLflow or use another name")
    return found.experiment_id


def open_tracker(
    name: str,
    *,
    parent: str | None = None,
    run_id: str | None = None,
    experiment: str = "mase",
    tags: Mapping[str, str] = {},
) -> "MlflowTracker":
    """Create a run in MLflow, or re-open one.

    Args:
        name: the run's name; a re-opened run keeps its own.
        parent: run id of the parent; the new run goes into the parent's experiment.
        run_id: go on with this run, whatever its status; it becomes RUNNING again.
        experiment: name of the experiment of a run without a parent.
        tags: tags to set, for example `{names.KIND: "cell"}`.

    Raises:
        TrackingError: if the store cannot be reached or there is no such run or parent.
    """
    client = connect()
    if run_id is not None:
        return _reopen(client, run_id, tags)
    where = _find(client, parent).info.experiment_id if parent else experiment_id(client, experiment)
    every = {names.SOURCE_NAME: "mase", names.ATTEMPT: "1"} | ({names.PARENT: parent} if parent else {})
    if (commit := source_commit()) is not None:
        every[names.COMMIT] = commit
    with store_errors(f"creating run {name!r}"):
        run = client.create_run(where, run_name=name, tags=every | {k: cut(str(v)) for k, v in tags.items()})
    return MlflowTracker(client, run, reopened=False)


def _find(client: MlflowClient, run_id: str) -> Run:
    with store_errors(f"run {run_id} in {without_credentials(tracking_uri())}"):
        run = client.get_run(run_id)
    if run.info.lifecycle_stage != "active":
        raise TrackingError(f"run {run_id} is deleted; restore it in MLflow or start a new one")
    return run


def _reopen(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> "MlflowTracker":
    run = _find(client, run_id)
    tracker = MlflowTracker(client, run, reopened=True)
    with store_errors(f"re-opening run {run_id}"):
        client.update_run(run_id, status="RUNNING")
    tracker.tags({**tags, names.ATTEMPT: str(int(run.data.tags.get(names.ATTEMPT, "1")) + 1)})
    return tracker


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


class MlflowTracker(BaseTracker):
    """A run in MLflow. Made by `open_tracker` and `child`."""

    def __init__(self, client: MlflowClient, run: Run, *, reopened: bool) -> None:
        super().__init__(run.info.run_id, reopened=reopened)
        self.client = client
        self.experiment_id = run.info.experiment_id

    def _errors(self) -> Any:
        return store_errors(f"run {self.run_id}")

    def _read_params(self) -> dict[str, str]:
        return dict(_find(self.client, self.run_id).data.params)

    def _read_steps(self, key: str) -> frozenset[int]:
        with self._errors():
            return frozenset(point.step for point in self.client.get_metric_history(self.run_id, key))

    def _read_tag(self, key: str) -> str:
        return _find(self.client, self.run_id).data.tags.get(key, "")

    def _stored_form(self, key: str, value: str) -> str:
        if len(value) <= PARAM_LIMIT:
            return value
        digest = hashlib.sha256(value.encode()).hexdigest()[:20]
        ending = f"... ({len(value)} characters, digest {digest}, whole text in long_params/{key}.txt)"
        return value[: PARAM_LIMIT - len(ending)] + ending

    def _write_params(self, values: dict[str, str]) -> dict[str, str]:
        stored = {key: self._stored_form(key, value) for key, value in values.items()}
        with self._errors():
            for key in (k for k, v in values.items() if len(v) > PARAM_LIMIT):
                self.client.log_text(self.run_id, values[key], f"long_params/{key}.txt")
            for chunk in _chunks([Param(key, value) for key, value in stored.items()], PARAMS_PER_REQUEST):
                self.client.log_batch(self.run_id, params=chunk)
        return stored

    def _write_metrics(self, values: dict[str, float], step: int) -> None:
        now = time.time_ns() // 1_000_000
        points = [Metric(key, value, now, step) for key, value in values.items()]
        with self._errors():
            for chunk in _chunks(points, METRICS_PER_REQUEST):
                self.client.log_batch(self.run_id, metrics=chunk)

    def _write_tags(self, values: dict[str, str]) -> None:
        with self._errors():
            for chunk in _chunks([RunTag(key, value) for key, value in values.items()], PARAMS_PER_REQUEST):
                self.client.log_batch(self.run_id, tags=chunk)

    def _write_dataset(self, name: str, digest: str, source: str, context: str, rows: int) -> None:
        profile = json.dumps({"num_rows": rows})
        origin = json.dumps({"tags": {"source": source}})
        # "code" is MLflow's source type for data that its own loaders cannot fetch again
        entry = Dataset(name, digest[:DIGEST_LIMIT], "code", origin, None, profile)
        tags = [InputTag("mlflow.data.context", context), InputTag("mase.digest", digest)]
        with self._errors():
            try:
                self.client.log_inputs(self.run_id, [DatasetInput(entry, tags)])
            except MlflowException as cause:
                # The store looks a data set up and then inserts it; of two processes that log a new one
                # at once, one fails to insert. Now it is there.
                if "IntegrityError" not in cause.message and "UniqueViolation" not in cause.message:
                    raise
                self.client.log_inputs(self.run_id, [DatasetInput(entry, tags)])

    def _write_artifact(self, path: Path, folder: str) -> None:
        with self._errors():
            self.client.log_artifact(self.run_id, str(path), folder or None)

    def _write_table(self, name: str, frame: "pd.DataFrame") -> None:
        with self._errors(), tempfile.TemporaryDirectory() as folder:
            stem = Path(folder) / "tables" / name
            stem.parent.mkdir(parents=True)
            frame.to_csv(f"{stem}.csv", index=False)
            frame.to_json(f"{stem}.json", orient="split", index=False)  # as MLflow's own tables
            self.client.log_artifacts(self.run_id, str(Path(folder) / "tables"), "tables")

    def _write_end(self, status: Status) -> None:
        with self._errors():
            self.client.set_terminated(self.run_id, status)

    def _new_child(self, name: str, tags: Mapping[str, str]) -> "MlflowTracker":
        return open_tracker(name, parent=self.run_id, tags=tags)
