"""Where the tracking store is; how an address is shown, without credentials, and told from another."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from mase.artifacts import home
from mase.errors import TrackingError

SQLITE_HEADER = b"SQLite format 3\x00"
PORTS = {"postgresql": 5432, "mysql": 3306, "https": 443, "http": 80}

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://\S+")
# Up to the last @: a password may hold any sign, and SQLAlchemy takes a / or ? in one as it is.
USERINFO = re.compile(r"(?<=://)[^:/?#]*(?::.*)?@", re.DOTALL)
SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<file>[^?]+)")
QUERY_SECRET = re.compile(
    r"(?<=[?&])(?:user(?:name)?|[^=&]*(?:pass|pwd|secret|token|key)[^=&]*)=[^&]*&?", re.IGNORECASE
)


def tracking_uri() -> str:
    """Return `$MASE_TRACKING_URI`, by default the SQLite file below `home()`.

    Raises:
        TrackingError: if it is a folder: MLflow no longer writes to one.
    """
    uri = os.environ.get("MASE_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"
    if "://" not in uri or uri.startswith("file:"):
        raise TrackingError(
            "MASE_TRACKING_URI is a folder or has no scheme; "
            "use sqlite:///FILE, postgresql://... or http://..."
        )
    return uri


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for other stores."""
    found = SQLITE.match(uri)
    return Path(found["file"]).absolute() if found else None


@contextmanager
def sqlite_opened(path: Path) -> Iterator[None]:
    """Hold a SQLite file's lock while a program opens it, whose schema one process writes in seconds.

    Raises:
        TrackingError: if it cannot be created there, or is no SQLite file: MLflow would retry for minutes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.exists() and path.stat().st_size:
                with path.open("rb") as stream:
                    if stream.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                        raise TrackingError(
                            f"{path} is not a SQLite file; move it away or set MASE_TRACKING_URI"
                        )
            yield
    except OSError as cause:
        raise TrackingError(f"{path}: the tracking store cannot be created there: {cause}") from cause


def without_credentials(uri: str) -> str:
    """Return an address without user, password and password-like parameters, to show or to keep.

    >>> without_credentials("postgresql://mase:secret@db:5432/mlflow?password=secret&sslmode=require")
    'postgresql://db:5432/mlflow?sslmode=require'
    """
    return USERINFO.sub("", QUERY_SECRET.sub("", uri)).rstrip("?&")


def cleaned(message: str) -> str:
    """Return a message with every address in it shown without credentials.

    >>> cleaned("no answer from http://admin:secret@mlflow:5000 in 3 s")
    'no answer from http://mlflow:5000 in 3 s'
    """
    return ADDRESS.sub(lambda found: without_credentials(found[0]), message)


def identity(uri: str) -> str:
    """Return what an address has in common with every other spelling of the same store's.

    SQLite: the file's absolute path, links followed. Others: scheme without driver, host and port,
    path without a closing slash, parameters; no credentials.

    >>> identity("postgresql+psycopg://mase:secret@DB:5432/mlflow/")
    'postgresql://db/mlflow'
    """
    file = sqlite_file(uri)
    if file is not None:
        return f"sqlite:///{file.resolve()}"
    parts = urlsplit(without_credentials(uri))
    scheme = parts.scheme.partition("+")[0]
    place = parts.netloc.lower().removesuffix(f":{PORTS.get(scheme)}")
    return f"{scheme}://{place}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")
