"""The tracking store: can it be reached, and does its schema fit the installed MLflow?"""

import os
import shlex
import socket
from urllib.parse import urlsplit

from mase.doctor.check import Check
from mase.errors import TrackingError
from mase.tracking.address import PORTS, sqlite_file, tracking_uri, without_credentials

SECONDS = 3.0


def unreachable(uri: str) -> str | None:
    """Return why nobody answers at the host and port of an address; None if somebody does, or it has none."""
    parts = urlsplit(without_credentials(uri))
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
    try:
        uri = tracking_uri()
    except TrackingError as cause:
        return Check("Tracking store", "problem", str(cause), "set MASE_TRACKING_URI as the message says")
    shown = without_credentials(uri)
    path = sqlite_file(uri)
    if path is not None and not path.exists():
        return Check("Tracking store", "ok", f"{shown} (not there yet, made by the first run)")
    if (reason := unreachable(uri)) is not None:
        return Check(
            "Tracking store", "problem", f"{shown}: {reason}", "start it, or correct MASE_TRACKING_URI"
        )
    return _opened(shown)


def _opened(shown: str) -> Check:
    """Open a store that is there; MLflow refuses a schema that is not the one it knows."""
    from mase.tracking.mlflow_tracker import connect, store_errors

    try:
        with store_errors(f"reading {shown}"):
            found = connect().search_experiments()
    except TrackingError as cause:
        message = str(cause)
        remedy = "move the file away, or set MASE_TRACKING_URI to another store"
        if "schema" in message:
            named = "MASE_TRACKING_URI" in os.environ
            store = '"$MASE_TRACKING_URI"' if named else shlex.quote(tracking_uri())
            remedy = f"make a copy of the store, then: mlflow db upgrade {store}"
        return Check("Tracking store", "problem", message, remedy)
    names = ", ".join(sorted(experiment.name for experiment in found)) or "none"
    return Check("Tracking store", "ok", f"{shown}; experiments: {names}")
