"""Run the services of docker-compose.yml as processes on loopback: same commands, same environment.

Only places differ. A published or container port becomes a free one, a service's name becomes
127.0.0.1, a container's folder becomes a temporary one. PostgreSQL's image has its command in its
entrypoint, so here that is done by hand: initdb, the server, the mounted init scripts.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.compose_file import ROOT

INHERITED = ("PATH", "LANG", "TZ", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "OMP_NUM_THREADS")
STOP_SECONDS = 15.0
CONTAINER_FOLDERS = re.compile(r"/var/lib/(?:mase|mlflow|prefect)\b")


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs: Debian's newest, or that of the `postgres` on the path."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = sorted(versions, key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """The services of a compose file, started as its `depends_on` says and stopped in reverse."""

    def __init__(self, content: Mapping[str, Any], programs: Path, folder: Path) -> None:
        self.services: dict[str, dict[str, Any]] = content["services"]
        self.programs, self.folder = programs, folder
        self.ports = {port: free_port() for port in ("5432", *self._published())}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.seconds: dict[str, float] = {}
        self.database = Path(tempfile.mkdtemp(prefix="mase-postgres-"))  # tmp_path is closed to other users

    def _published(self) -> list[str]:
        published = [port for service in self.services.values() for port in service.get("ports", [])]
        assert all(port.startswith("127.0.0.1:") for port in published), published
        return [port.rpartition(":")[2] for port in published]

    def here(self, text: str) -> str:
        """Return a text of the compose file with its places on this machine."""
        for name in self.services:
            text = re.sub(rf"(?<![\w.-]){name}(?=:\d)", "127.0.0.1", text)
        text = re.sub(r"\b(\d{4})\b", lambda match: str(self.ports.get(match[1], match[1])), text)
        text = CONTAINER_FOLDERS.sub(lambda match: f"{self.folder}{match[0]}", text)
        return text.replace("0.0.0.0", "127.0.0.1").replace("/app/", f"{ROOT}/")

    def url(self, port: str) -> str:
        """Return the address of what the compose file publishes at `port`."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """Return a service's environment: what the compose file gives it, and no variable of this test's."""
        own = {key: self.here(str(value)) for key, value in self.services[name]["environment"].items()}
        if own.get("PGHOST") in self.services:
            own["PGHOST"] = "127.0.0.1"
        common = {key: os.environ[key] for key in INHERITED if key in os.environ}
        common["PATH"] = f"{Path(sys.executable).parent}:{self.programs}:{common['PATH']}"
        common |= {"HOME": str(self.folder), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        return common | own | more

    def log(self, name: str) -> str:
        """Return what a service has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def start(self, *names: str, **more: str) -> None:
        """Start services and, first, what they wait for; return when all of them are healthy."""
        for name in names:
            self.start(*(n for n in self.services[name].get("depends_on", {}) if n not in self.processes))
        for name in names:
            if name == "postgres":
                self._start_postgres()
            else:
                self._run(name, [self.here(word) for word in self.services[name]["command"]], more)
        for name in names:
            self._wait(name)

    def _run(
        self,
        name: str,
        command: list[str],
        more: Mapping[str, str] = {},
        user: str | None = None,
        group: int | None = None,
    ) -> None:
        self.seconds[name] = -time.monotonic()
        for folder in re.findall(rf"{self.folder}/var/lib/\w+", str(self.environment(name)) + str(command)):
            Path(folder).mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.database if user else ROOT,  # ROOT is the /app of the image
                env=self.environment(name, **more),
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )

    def _start_postgres(self) -> None:
        environment = self.environment("postgres")
        role, password = environment["POSTGRES_USER"], environment["POSTGRES_PASSWORD"]
        user, group = None, None
        if os.getuid() == 0:  # PostgreSQL refuses root
            shutil.chown(self.database, "postgres")
            user, group = "postgres", pwd.getpwnam("postgres").pw_gid
        secret = self.database / "password"
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o644)
        data = self.database / "data"
        command = [f"{self.programs}/initdb", "-D", str(data), "-U", role, "--auth=scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", f"--pwfile={secret}"]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd=self.database,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
        command = [f"{self.programs}/postgres", "-D", str(data), "-p", str(self.ports["5432"])]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.database}"]
        self._run("postgres", [*command, "-c", "fsync=off"], user=user, group=group)
        login = {"PGPASSWORD": password, "PGHOST": "127.0.0.1", "PGPORT": str(self.ports["5432"])}
        client = {**environment, **login}
        ready = ["pg_isready", "-t", "20"]
        while subprocess.run(ready, env=client, capture_output=True).returncode:
            assert self.processes["postgres"].poll() is None, self.log("postgres")
            time.sleep(0.1)
        psql = ["psql", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", "postgres", "-q", "-f"]
        for script in sorted(self._init_scripts()):
            subprocess.run([*psql, str(script)], check=True, env=client)

    def _init_scripts(self) -> list[Path]:
        mounts = [mount.split(":") for mount in self.services["postgres"]["volumes"]]
        (source,) = [source for source, target, *_ in mounts if target == "/docker-entrypoint-initdb.d"]
        scripts = list((ROOT / source).glob("*.sql"))
        assert scripts
        return scripts

    def check(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service's health check once, in the environment of the service."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        # The Host header is what a container's client sends; it names no place on this machine.
        words = [word if word.startswith("--host=") else self.here(word) for word in words]
        environment = self.environment(name)
        if name == "postgres":  # there psql runs inside, where loopback is trusted
            environment["PGPASSWORD"] = environment["POSTGRES_PASSWORD"]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)

    def _wait(self, name: str, seconds: float = 150) -> None:
        """Wait until a service is healthy or, if it has no health check, has ended well."""
        deadline = time.monotonic() + seconds
        if "healthcheck" not in self.services[name]:
            assert self.processes[name].wait(seconds) == 0, self.log(name)
            self.seconds[name] += time.monotonic()
            return
        while (result := self.check(name)).returncode:
            said = f"{name}: {result.stdout}{result.stderr}\n{self.log(name)[-5000:]}"
            assert self.processes[name].poll() is None and time.monotonic() < deadline, said
            time.sleep(0.5)
        self.seconds[name] += time.monotonic()

    def close(self) -> None:
        """Stop everything, the database last, and kill what is left, whatever its session."""
        below = [child for name in self.processes for child in self._below(name)]
        database = self.processes.pop("postgres", None)
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            end(process, deadline - time.monotonic())
        if database is not None:
            database.send_signal(signal.SIGINT)
            end(database, STOP_SECONDS)
        for process in below:
            if process.is_running():
                process.kill()
        shutil.rmtree(self.database, ignore_errors=True)

    def _below(self, name: str) -> list[psutil.Process]:
        try:
            return psutil.Process(self.processes[name].pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def end(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for a process that was asked to stop, then kill what is left of its group."""
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
