"""Fixtures of the whole suite: a home of its own for each test, no network, the shared data."""

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Libraries read these when they are imported, so they are set before anything else is.
_SCRATCH = tempfile.mkdtemp(prefix="mase-tests-")
atexit.register(shutil.rmtree, _SCRATCH, ignore_errors=True)
os.environ |= {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "MASE_HOME": f"{_SCRATCH}/home",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MPLBACKEND": "Agg",
    "PREFECT_HOME": f"{_SCRATCH}/prefect",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "TRANSFORMERS_OFFLINE": "1",
}
for _name in ("MASE_PARAMS", "MASE_TRACKING_URI", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
    os.environ.pop(_name, None)
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings  # noqa: E402 - after the environment is set

# The same examples every time, and no deadline: a busy machine is not a failure.
settings.register_profile("project", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("project")


def _is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine (a path, or a loopback host)."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    return host in ("localhost", "::1", "0.0.0.0", "") or host.startswith("127.")


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        # A datagram socket sends nothing on connect; libraries use it to learn the own address.
        if self.type & socket.SOCK_STREAM and not _is_local(address):
            raise OSError(f"a test tried to reach {address}; tests use no network")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Undo what a command in this process sets for itself; the next test's commands would have it too."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def mase_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty `$MASE_HOME`."""
    home = tmp_path / "mase-home"
    monkeypatch.setenv("MASE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the real data sets: `$MASE_SHARED_DATA`, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("MASE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        message = f"no shared data at {folder}; set MASE_SHARED_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
