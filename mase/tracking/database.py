"""Read lists of runs straight from MLflow's tables: 2,000 runs in a tenth of a second.

Through MLflow's own client a run comes with all of its params, 200 or so, and 2,000 runs take
seconds. These are the same tables, read and never written. A database whose tables are not
those that this file was written against says so by `layout_is_known`, and the client is used.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mase.errors import TrackingError
from mase.tracking.address import cleaned, without_credentials

DATABASES = ("sqlite", "postgresql")
LOCK_SECONDS = 20  # a run that is going on writes to the same file
PER_QUERY = 500  # run ids in one query; SQLite allows 32,766 variables, older builds 999

TABLES = {
    "experiments": ("experiment_id", "name", "lifecycle_stage"),
    "runs": ("run_uuid", "name", "status", "start_time", "end_time", "experiment_id", "lifecycle_stage"),
    "tags": ("run_uuid", "key", "value"),
    "params": ("run_uuid", "key", "value"),
    "latest_metrics": ("run_uuid", "key", "value", "is_nan"),
    "metrics": ("run_uuid", "key", "step", "value", "timestamp", "is_nan"),
}
EXPERIMENTS, RUNS, TAGS, PARAMS, LATEST, POINTS = (
    sa.table(name, *(sa.column(column) for column in columns)) for name, columns in TABLES.items()
)

Row = dict[str, Any]


def is_database(uri: str) -> bool:
    """Tell whether a tracking URI names a database that this file can read."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


@lru_cache(maxsize=8)
def _engine(uri: str) -> sa.Engine:
    options = {"timeout": LOCK_SECONDS} if uri.startswith("sqlite") else {}
    return sa.create_engine(uri, poolclass=NullPool, connect_args=options)


@contextmanager
def _reading(uri: str) -> Iterator[sa.Connection]:
    """Open a connection; what the database says against it becomes a `TrackingError` without credentials."""
    try:
        with _engine(uri).connect() as connection:
            yield connection
    except SQLAlchemyError as cause:
        said = str(cause).partition("[SQL")[0].strip()
        raise TrackingError(f"reading {without_credentials(uri)}: {cleaned(said)}") from cause


def layout_is_known(uri: str) -> bool:
    """Tell whether the database has the tables and columns that are read here.

    Raises:
        TrackingError: if it cannot be reached.
    """
    with _reading(uri) as connection:
        inspector = sa.inspect(connection)
        for table, columns in TABLES.items():
            if not inspector.has_table(table):
                return False
            if not set(columns) <= {column["name"] for column in inspector.get_columns(table)}:
                return False
    return True


def run_rows(
    uri: str,
    experiment: str,
    *,
    tags: Sequence[str],
    params: Sequence[str],
    metrics: Sequence[str],
    limit: int | None,
) -> list[Row]:
    """Return the newest runs of an experiment, newest first.

    Args:
        tags, params: their keys to bring.
        metrics: beginnings of names of metrics to bring, with their last values.

    Returns:
        per run: `run_id, name, status, start, end` (milliseconds), `tags`, `params` and `metrics`.
    """
    chosen = (
        sa.select(RUNS.c.run_uuid, RUNS.c.name, RUNS.c.status, RUNS.c.start_time, RUNS.c.end_time)
        .join_from(RUNS, EXPERIMENTS, RUNS.c.experiment_id == EXPERIMENTS.c.experiment_id)
        .where(EXPERIMENTS.c.name == experiment, RUNS.c.lifecycle_stage == "active")
        .order_by(RUNS.c.start_time.desc(), RUNS.c.run_uuid)
        .limit(limit)
    )
    with _reading(uri) as connection:
        rows = {
            run.run_uuid: {
                "run_id": run.run_uuid, "name": run.name, "status": run.status, "start": run.start_time,
                "end": run.end_time, "tags": {}, "params": {}, "metrics": {},
            }
            for run in connection.execute(chosen)
        }  # fmt: skip
        for ids in _chunks(list(rows)):
            for kind, table, keys in (("tags", TAGS, tags), ("params", PARAMS, params)):
                told = sa.select(table).where(table.c.run_uuid.in_(ids), table.c.key.in_(keys))
                for entry in connection.execute(told):
                    rows[entry.run_uuid][kind][entry.key] = entry.value
            measured = sa.select(LATEST).where(LATEST.c.run_uuid.in_(ids), _begins(LATEST.c.key, metrics))
            for point in connection.execute(measured):
                rows[point.run_uuid]["metrics"][point.key] = _number(point)
    return list(rows.values())


def point_rows(uri: str, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Row]:
    """Return every point of some runs' metrics: `run_id, key, step, value, timestamp`."""
    found: list[Row] = []
    with _reading(uri) as connection:
        for ids in _chunks(list(run_ids)):
            wanted = sa.select(POINTS).where(POINTS.c.run_uuid.in_(ids), _begins(POINTS.c.key, metrics))
            found += [
                {"run_id": p.run_uuid, "key": p.key, "step": p.step, "value": _number(p), "at": p.timestamp}
                for p in connection.execute(wanted)
            ]
    return found


def _begins(column: Any, beginnings: Sequence[str]) -> Any:
    return sa.or_(sa.false(), *(column.startswith(start, autoescape=True) for start in beginnings))


def _number(point: Any) -> float:
    return float("nan") if point.is_nan else float(point.value)


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), PER_QUERY):
        yield ids[start : start + PER_QUERY]
