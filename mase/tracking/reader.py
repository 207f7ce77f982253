"""Read runs back from the store: for `mase runs`, the dashboard and reports."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mase.tracking import names
from mase.tracking.address import sqlite_file, tracking_uri, without_credentials
from mase.tracking.mlflow_tracker import connect, store_errors
from mase.tracking.record import DatasetRecord, RunRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run_id", "name", "status", "kind", "parent", "start", "end", "reason")
KEY_METRICS = ("eval/", names.OBJECTIVE, names.SECONDS)


def runs(experiment: str = "mase", *, metrics: tuple[str, ...] = KEY_METRICS) -> "pd.DataFrame":
    """Return the runs of an experiment, oldest first, one row each.

    Columns: `run_id, name, status, kind, parent, start, end, reason` (times in UTC) and
    one for each metric whose name starts with one of `metrics`, holding its last value.
    Empty if there is no such experiment; looking does not create a store.

    Raises:
        TrackingError: if the store cannot be read.
    """
    import pandas as pd

    rows = [_row(run, metrics) for run in _search(experiment)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *sorted({k for row in rows for k in row} - set(COLUMNS))])
    for column in ("start", "end"):
        frame[column] = pd.to_datetime(frame[column], unit="ms", utc=True)
    return frame


def _search(experiment: str) -> Iterator[Any]:
    path = sqlite_file(tracking_uri())
    if path is not None and not path.exists():
        return
    client = connect()
    with store_errors(f"experiment {experiment!r}"):
        found = client.get_experiment_by_name(experiment)
        token: str | None = None
        while found is not None:
            order = ["attributes.start_time ASC"]
            page = client.search_runs(
                [found.experiment_id], max_results=1000, order_by=order, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return


def _row(run: Any, metrics: tuple[str, ...]) -> dict[str, Any]:
    tags = run.data.tags
    row = {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "kind": tags.get(names.KIND),
        "parent": tags.get(names.PARENT),
        "start": run.info.start_time,
        "end": run.info.end_time if run.info.status != "RUNNING" else None,
        "reason": tags.get(names.REASON) if run.info.status in ("FAILED", "KILLED") else None,
    }
    return row | {key: value for key, value in run.data.metrics.items() if key.startswith(metrics)}


def read_run(run_id: str) -> RunRecord:
    """Return everything that is recorded of a run, trajectories included.

    Raises:
        TrackingError: if there is no such run.
    """
    client = connect()
    with store_errors(f"run {run_id} in {without_credentials(tracking_uri())}"):
        run = client.get_run(run_id)
        name = client.get_experiment(run.info.experiment_id).name
        points = {key: _history(client, run_id, key) for key in run.data.metrics}
        files = sorted(_files(client, run_id, None))
    datasets = [_dataset(entry) for entry in run.inputs.dataset_inputs] if run.inputs else []
    return RunRecord(
        run_id,
        run.info.run_name or "",
        name,
        run.info.status,
        run.data.params,
        points,
        run.data.tags,
        datasets,
        files,
    )


def _history(client: Any, run_id: str, key: str) -> dict[int, float]:
    """Return {step: value}; of two values at a step (another program's doing) the earliest stands."""
    points = sorted(client.get_metric_history(run_id, key), key=lambda point: point.timestamp, reverse=True)
    return {point.step: point.value for point in points}


def _files(client: Any, run_id: str, folder: str | None) -> Iterator[str]:
    for entry in client.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from _files(client, run_id, entry.path)
        else:
            yield entry.path


def _dataset(entry: Any) -> DatasetRecord:
    tags = {tag.key: tag.value for tag in entry.tags}
    source = json.loads(entry.dataset.source)
    return DatasetRecord(
        name=entry.dataset.name,
        digest=tags.get("mase.digest", entry.dataset.digest),
        source=source.get("tags", {}).get("source", entry.dataset.source),
        context=tags.get("mlflow.data.context", ""),
        rows=json.loads(entry.dataset.profile or "{}").get("num_rows", 0),
    )
