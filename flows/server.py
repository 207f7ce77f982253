"""A Prefect server of our own, for users who have none, and the note that tells others where it is.

`mase serve` starts the server, writes its address to `$MASE_HOME/prefect/server.json` and
removes the note when it ends. The other commands and the Prefect plugin read the note.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.interruption import end_tree
from mase.artifacts import home, write_json
from mase.errors import ParamsError, TrackingError

START_SECONDS = 120.0
STOP_SECONDS = 30.0


def note_path() -> Path:
    """Return the path of the note with the server's address."""
    return home() / "prefect" / "server.json"


def announced_url() -> str | None:
    """Return the API address of a server that `mase serve` keeps running, or None."""
    try:
        note = json.loads(note_path().read_text(encoding="utf-8"))
        with socket.create_connection(("127.0.0.1", int(note["port"])), timeout=0.5):
            return str(note["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or the note of a server that was killed


@contextmanager
def running_server(port: int, *, announce: bool = True) -> Iterator[str]:
    """Run `prefect server start` on `port` while the body runs; `announce` writes the note.

    Raises:
        ParamsError: if the port is taken.
        TrackingError: if the server does not answer.
    """
    if not _is_free(port):
        raise ParamsError(
            f"port {port} is taken; pass another --port, or PREFECT_API_URL of the server that runs there"
        )
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PREFECT_UI_API_URL": url},
    )
    try:
        _wait_until_healthy(url, process)
        if announce:
            write_json(note_path(), {"url": url, "port": port, "pid": os.getpid()})
        yield url
    finally:
        if announce:
            note_path().unlink(missing_ok=True)
        end_tree(process, STOP_SECONDS)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(
                f"the Prefect server ended with code {process.returncode} before it answered at {url}"
            )
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise TrackingError(f"the Prefect server did not answer at {url} within {START_SECONDS:.0f} s")
