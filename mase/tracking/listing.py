"""Lists of runs, and trajectories of several runs, for pages that show a whole store."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mase.tracking import database, names
from mase.tracking.address import sqlite_file, tracking_uri, without_credentials
from mase.tracking.mlflow_tracker import connect, store_errors

if TYPE_CHECKING:
    import pandas as pd

TAGS = {  # tag -> column
    names.KIND: "kind",
    names.PARENT: "parent",
    names.REASON: "reason",
    "mase.row": "row",
    "mase.task": "task",
    "mase.unit": "unit",
}
PARAMS = ("tables",)  # of a flow: the tables that it fills, as JSON
METRICS = ("eval/", "cost/", "study/", "em/weight/", "em/information/", "em/information_se/", names.OBJECTIVE)
COLUMNS = ("run_id", "name", "status", "start", "end", *TAGS.values(), *PARAMS)
POINT_COLUMNS = ("run_id", "key", "step", "value")
PAGE = 250  # runs that a server sends at a time


def listing(
    experiment: str = "mase", *, metrics: Sequence[str] = METRICS, limit: int | None = None
) -> "pd.DataFrame":
    """Return the runs of an experiment, newest first, one row each.

    A database is read directly, another store through MLflow's client, which takes about four
    seconds per thousand runs. Looking does not create a store.

    Args:
        metrics: beginnings of names of the metrics to bring.
        limit: the newest so many; all by default.

    Returns:
        `run_id, name, status, start, end, kind, parent, reason, row, task, unit, tables` (times in UTC,
        the end of a running run missing), and a column for each metric, holding its last value.

    Raises:
        TrackingError: if the store cannot be read.
    """
    import pandas as pd

    records = [_record(row) for row in _rows(experiment, metrics, limit)]
    measured = sorted({key for record in records for key in record} - set(COLUMNS))
    frame = pd.DataFrame(records, columns=[*COLUMNS, *measured])
    for column in ("start", "end"):
        frame[column] = pd.to_datetime(frame[column], unit="ms", utc=True)
    return frame


def _rows(experiment: str, metrics: Sequence[str], limit: int | None) -> list[database.Row]:
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return []
    if database.is_database(uri) and database.layout_is_known(uri):
        return database.run_rows(
            uri, experiment, tags=list(TAGS), params=PARAMS, metrics=metrics, limit=limit
        )
    return client_rows(experiment, metrics, limit)


def client_rows(experiment: str, metrics: Sequence[str], limit: int | None) -> list[database.Row]:
    """Return what `database.run_rows` returns, by MLflow's client: for servers."""
    client, rows, token = connect(), [], None
    with store_errors(f"experiment {experiment!r}"):
        found = client.get_experiment_by_name(experiment)
        while found is not None:
            page = client.search_runs(
                [found.experiment_id],
                max_results=PAGE if limit is None else min(PAGE, limit - len(rows)),
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            rows += [_of_client(run, metrics) for run in page]
            token = page.token
            if not token or len(rows) == limit:
                break
    return rows


def _of_client(run: Any, metrics: Sequence[str]) -> database.Row:
    info, data = run.info, run.data
    return {
        "run_id": info.run_id, "name": info.run_name, "status": info.status,
        "start": info.start_time, "end": info.end_time,
        "tags": {key: value for key, value in data.tags.items() if key in TAGS},
        "params": {key: value for key, value in data.params.items() if key in PARAMS},
        "metrics": {key: value for key, value in data.metrics.items() if key.startswith(tuple(metrics))},
    }  # fmt: skip


def _record(row: database.Row) -> dict[str, Any]:
    """Return a row of the frame. A re-opened run keeps its earlier end and reason in the store."""
    record: dict[str, Any] = {key: row[key] for key in ("run_id", "name", "status", "start", "end")}
    if record["status"] == "RUNNING":
        record["end"] = None
    record |= {column: row["tags"].get(tag) for tag, column in TAGS.items()}
    record |= {key: row["params"].get(key) for key in PARAMS}
    if record["status"] not in ("FAILED", "KILLED"):
        record["reason"] = None
    return record | row["metrics"]


def trajectories(run_ids: Sequence[str], keys: Sequence[str]) -> "pd.DataFrame":
    """Return the points of some metrics of some runs: `run_id, key, step, value`, in order.

    Of two values at one step the earliest stands.

    Args:
        keys: beginnings of the metrics' names.

    Raises:
        TrackingError: if the store cannot be read or there is no such run.
    """
    import pandas as pd

    uri = tracking_uri()
    if database.is_database(uri) and database.layout_is_known(uri):
        rows = database.point_rows(uri, run_ids, keys)
    else:
        rows = _client_points(run_ids, keys)
    frame = pd.DataFrame(rows, columns=[*POINT_COLUMNS, "at"]).sort_values(["run_id", "key", "step", "at"])
    return frame.drop_duplicates(["run_id", "key", "step"]).drop(columns="at").reset_index(drop=True)


def _client_points(run_ids: Sequence[str], keys: Sequence[str]) -> list[database.Row]:
    client, rows = connect(), []
    for run_id in run_ids:
        with store_errors(f"run {run_id} in {without_credentials(tracking_uri())}"):
            recorded = [key for key in client.get_run(run_id).data.metrics if key.startswith(tuple(keys))]
            points = [(key, p) for key in recorded for p in client.get_metric_history(run_id, key)]
        rows += [
            {"run_id": run_id, "key": key, "step": p.step, "value": p.value, "at": p.timestamp}
            for key, p in points
        ]
    return rows
