"""Process environment: quiet, offline-friendly, and with every store below `$MASE_HOME`.

Only defaults are set, so a variable that the user exported always wins. Prefect and MLflow
read these when they are imported, so `configure` runs before either is.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.server import announced_url, free_port, running_server
from mase.artifacts import home

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # What fails is told by our own messages; `mase serve` logs more.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that spin while they wait starve beside another job; alone this costs a few per cent.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Prefect's own limit of 20 s is close to what a server needs on two busy cores.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def configure() -> None:
    """Set the defaults above, and put Prefect's database below `$MASE_HOME`.

    Prefect's own home is kept where the user chose one: `PREFECT_HOME`, `PREFECT_API_URL`
    or an active Prefect profile that names a server.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not (_chosen(os.environ) or _profile_has_server()):
        os.environ["PREFECT_HOME"] = str(home() / "prefect")


def prepare_prefect() -> None:
    """Get ready for the import of Prefect: point it at the server of `mase serve`, make its folder.

    Prefect makes the folder itself only if the parent exists.
    """
    if not prefect_api_configured() and (url := announced_url()):
        os.environ["PREFECT_API_URL"] = url
    if folder := os.environ.get("PREFECT_HOME"):
        Path(folder).expanduser().mkdir(parents=True, exist_ok=True)


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables while the body runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def server_for_workers() -> Iterator[None]:
    """Have one Prefect server for this process and its workers: the configured one, else one of our own.

    Without it every worker would start a server for itself.
    """
    if prefect_api_configured():
        yield
        return
    with running_server(free_port(), announce=False) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield
        finally:
            _send_logs()
            del os.environ["PREFECT_API_URL"]


def _send_logs() -> None:
    """Send the logs that wait; once the server is gone, Prefect tries for a minute as this process exits."""
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()


def prefect_api_configured() -> bool:
    """Tell whether a Prefect server is named by the environment or by the active profile."""
    return bool(os.environ.get("PREFECT_API_URL")) or _profile_has_server()


def _chosen(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("PREFECT_HOME") or environment.get("PREFECT_API_URL"))


def _profile_has_server() -> bool:
    folder = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False  # Prefect itself complains about a broken file; here it only means "no server named"
    active = os.environ.get("PREFECT_PROFILE") or content.get("active", "")
    return bool(content.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))
