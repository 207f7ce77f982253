"""`mase serve` and Prefect's own command line against it, with a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from flows import server
from flows.cli import app
from flows.server import announced_url, note_path, running_server
from flows.server_setup import ZOMBIES
from mase.artifacts import write_json
from mase.errors import ParamsError

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ["-p", "profile=smoke", "-p", "seeds=1", "-p", 'tasks=["looks"]']
SMOKE += ["-p", 'overrides=["training.max_steps=2", "allocation.iterations=2"]']


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Served:
    """A running `mase serve`: its API, its log, and the environment of a user beside it."""

    url: str
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def prefect(self, *words: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "prefect", *words]
        environment = self.environment | variables
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150
        )


@pytest.fixture
def served(tmp_path: Path, mase_home: Path) -> Iterator[Served]:
    port, log = free_port(), tmp_path / "serve.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"HOME": str(tmp_path), "MASE_HOME": str(mase_home), "NO_COLOR": "1", "DO_NOT_TRACK": "1"}
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), "--gpu-slots", "3"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 120
        while "run one with" not in log.read_text(encoding="utf-8"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield Served(f"http://127.0.0.1:{port}/api", log, environment, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("prefect")
def test_prefects_own_command_runs_the_deployments(served: Served, tmp_path: Path, mase_home: Path) -> None:
    anywhere = tmp_path / "elsewhere"
    anywhere.mkdir()
    full = served.prefect(
        "deployment", "run", "mase-ablations/mase-ablations", "--watch", *SMOKE,
        folder=anywhere, PREFECT_API_URL=served.url,
    )  # fmt: skip
    assert full.returncode == 0, full.stdout + full.stderr + served.log.read_text(encoding="utf-8")
    assert "Completed" in full.stdout
    assert len(list((mase_home / "units").iterdir())) == 5
    assert list((mase_home / "reports").glob("demo-ablations-smoke-*/demo-ablations.md"))

    limit = httpx.get(f"{served.url}/v2/concurrency_limits/gpu").raise_for_status().json()
    assert (limit["limit"], limit["active_slots"]) == (3, 0)
    (automation,) = httpx.post(f"{served.url}/automations/filter", json={}).raise_for_status().json()
    assert (automation["name"], automation["enabled"]) == (ZOMBIES, True)
    assert automation["actions"][0]["state"] == "CRASHED"

    literal = served.prefect("deployment", "run", "mase-ablations")  # finds the server by itself
    assert literal.returncode == 0, literal.stdout + literal.stderr
    assert "mase-ablations/mase-ablations" in literal.stdout
    unknown = served.prefect("deployment", "run", "mase-nothing")
    assert unknown.returncode == 1
    assert "'mase-nothing' not found" in unknown.stdout + unknown.stderr

    served.process.send_signal(signal.SIGINT)
    served.process.wait(timeout=60)
    assert not (mase_home / "prefect" / "server.json").exists()


def test_a_work_pool_needs_a_server_that_stays(
    mase_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no Prefect profile
    monkeypatch.delenv("PREFECT_HOME")
    result = CliRunner().invoke(app, ["serve", "--work-pool", "mase"])
    assert result.exit_code == 2
    assert "set PREFECT_API_URL" in result.stderr


def test_a_taken_port_is_a_clear_error(mase_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ParamsError, match=f"port {port} is taken"), running_server(port):
            pass
    assert not mase_home.exists()


def test_a_server_that_does_not_end_is_killed(
    tmp_path: Path, mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, pid = tmp_path / "stubborn", tmp_path / "pid"
    script.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {pid}\nsleep 60\n", encoding="utf-8")
    script.chmod(0o755)

    def wait_for_pid(*_: object) -> None:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.01)

    monkeypatch.setattr(server, "sys", SimpleNamespace(executable=str(script)))
    monkeypatch.setattr(server, "_wait_until_healthy", wait_for_pid)
    monkeypatch.setattr(server, "STOP_SECONDS", 0.2)
    with running_server(free_port(), announce=False):
        assert psutil.pid_exists(int(pid.read_text()))
    assert not psutil.pid_exists(int(pid.read_text()))


def test_the_note_of_a_server_that_is_gone_is_not_believed(mase_home: Path) -> None:
    assert announced_url() is None
    write_json(note_path(), {"url": "http://127.0.0.1:1/api", "port": free_port(), "pid": 1})
    assert announced_url() is None
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        write_json(note_path(), {"url": "http://x/api", "port": server.getsockname()[1], "pid": 1})
        assert announced_url() == "http://x/api"
    note_path().write_text("not json", encoding="utf-8")
    assert announced_url() is None
