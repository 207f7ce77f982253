"""MLflow's store: where it is, a client of it, its errors as ours.

It is `$MASE_TRACKING_URI`, by default `<home>/mlflow.db` (SQLite) with artifacts under
`<home>/mlartifacts`.
"""

import functools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mase.artifacts import home
from mase.errors import TrackingError

SQLITE_HEADER = b"SQLite format 3\x00"

for _noisy in ("mlflow", "alembic"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn MLflow's exceptions into `TrackingError`, saying what was being done."""
    try:
        yield
    except MlflowException as cause:
        raise TrackingError(f"{doing}: {cause.message}") from cause


def tracking_uri() -> str:
    """Return `$MASE_TRACKING_URI`, by default the SQLite file below `home()`.

    Raises:
        TrackingError: if it is a folder: MLflow no longer writes to one.
    """
    uri = os.environ.get("MASE_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"
    if "://" not in uri or uri.startswith("file:"):
        raise TrackingError(
            f"MASE_TRACKING_URI={uri!r} is a folder or has no scheme; "
            "use sqlite:///FILE, postgresql://... or http://..."
        )
    return uri


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for other stores."""
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None


def connect() -> MlflowClient:
    """Return a client of the store, which is created where it is a SQLite file that is not there yet.

    Raises:
        TrackingError: if the store cannot be opened.
    """
    return _connect(tracking_uri())


@functools.lru_cache(maxsize=8)
def _connect(uri: str) -> MlflowClient:
    path = sqlite_file(uri)
    if path is None:
        with store_errors(f"opening {uri}"):
            return MlflowClient(tracking_uri=uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # one process writes the schema; it takes seconds
            _check_sqlite(path)
            with store_errors(f"opening {uri}"):
                return MlflowClient(tracking_uri=uri)
    except OSError as cause:
        raise TrackingError(f"{path}: the tracking store cannot be created there: {cause}") from cause


def _check_sqlite(path: Path) -> None:
    """Refuse a file that is not SQLite at once; MLflow would retry for minutes."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        start = stream.read(len(SQLITE_HEADER))
    if start and start != SQLITE_HEADER:
        raise TrackingError(f"{path} is not a SQLite file; move it away or set MASE_TRACKING_URI")


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
