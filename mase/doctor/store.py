"""The tracking store: can it be reached, and does its schema fit the installed MLflow?"""

import socket
from urllib.parse import urlsplit, urlunsplit

from mase.doctor.check import Check
from mase.errors import TrackingError

SECONDS = 3.0
PORTS = {"postgresql": 5432, "mysql": 3306, "https": 443, "http": 80}


def shown(uri: str) -> str:
    """Return an address without its password.

    >>> shown("postgresql://mase:secret@db:5432/mlflow")
    'postgresql://mase:***@db:5432/mlflow'
    """
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{place}"))


def unreachable(uri: str) -> str | None:
    """Return why nobody answers at the host and port of an address; None if somebody does, or it has none."""
    parts = urlsplit(uri)
    if parts.hostname is None:
        return None
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0], 80)
    try:
        with socket.create_connection((parts.hostname, port), timeout=SECONDS):
            return None
    except OSError as cause:
        return f"nothing answers at {parts.hostname}:{port} ({cause})"


def check_store() -> Check:
    """Return the check of `$MASE_TRACKING_URI`, or of the store below the home folder."""
    from mase.tracking.mlflow_tracker import sqlite_file, tracking_uri

    try:
        uri = tracking_uri()
    except TrackingError as cause:
        return Check("Tracking store", "problem", str(cause), "set MASE_TRACKING_URI as the message says")
    path = sqlite_file(uri)
    if path is not None and not path.exists():
        return Check("Tracking store", "ok", f"{shown(uri)} (not there yet, made by the first run)")
    if (reason := unreachable(uri)) is not None:
        return Check(
            "Tracking store", "problem", f"{shown(uri)}: {reason}", "start it, or correct MASE_TRACKING_URI"
        )
    return _opened(uri)


def _opened(uri: str) -> Check:
    """Open a store that is there; MLflow refuses a schema that is not the one it knows."""
    from mase.tracking.mlflow_tracker import connect, store_errors

    try:
        with store_errors(f"reading {shown(uri)}"):
            found = connect().search_experiments()
    except TrackingError as cause:
        message = str(cause).replace(uri, shown(uri))
        remedy = "move the file away, or set MASE_TRACKING_URI to another store"
        if "schema" in message:
            remedy = f"make a copy of the store, then: mlflow db upgrade {shown(uri)}"
        return Check("Tracking store", "problem", message, remedy)
    names = ", ".join(sorted(experiment.name for experiment in found)) or "none"
    return Check("Tracking store", "ok", f"{shown(uri)}; experiments: {names}")
