"""Train the units of an archive in several processes, and write what is done as another archive.

Needs nothing but Python itself and `filelock` to start; the processes run the archive's own sources.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mase.artifacts import MANIFEST
from mase.bundle.archive import unpack, write_archive
from mase.errors import ArtifactError

MEMBERS = re.compile(r"(plan|rows|mase|packages|home/(graphs|proxies|checkpoints))/.+")
REPLACED = ("plan", "rows", "mase", "packages", "claims", "failed")
UNIT_FILES = ("params.yaml", "result.json", "predictions.parquet", "allocation.csv")
TICK = 0.2
GRACE = 10.0
"""Seconds after the deadline in which a process may end by itself, before it is ended."""
WRITTEN_EVERY = 30.0
"""Seconds between two writes of what is done so far."""


@dataclass(frozen=True)
class Summary:
    """What came of a run: digests of the units of the plan.

    Attributes:
        failed: message by digest.
        died: exit statuses of processes that ended by a defect or a signal that was not ours.
    """

    done: tuple[str, ...]
    failed: Mapping[str, str]
    left: tuple[str, ...]
    died: tuple[int, ...]


def run(
    bundle: Path,
    out: Path,
    *,
    processes: int = 1,
    deadline: float | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> Summary:
    """Train what an archive holds and is not done yet; always write `out`.

    Args:
        out: archive of the finished units; written again every half a minute while units finish.
        processes: how many units train at a time, on the same card or cores.
        deadline: seconds from now after which nothing is begun, and what trains stops; its last checkpoint
            stays in `folder`, and the same call goes on from there.
        folder: where the archive is unpacked; by default beside `out`.

    Raises:
        ArtifactError: if the archive is not whole. Nothing is trained then.
    """
    stop_at = float("inf") if deadline is None else time.time() + deadline
    folder = (out.with_name(out.name + ".work") if folder is None else folder).absolute()
    _unpacked(bundle, folder)
    say(f"{len(plan_of(folder))} units in {folder}, {processes} processes")
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with _termination_as_exit():
            if time.time() < stop_at:
                workers = [_start(folder, stop_at, processes) for _ in range(processes)]
            _wait(workers, stop_at, lambda: write_done(folder, out))
    finally:
        late = _end(workers)
        statuses = (worker.returncode for worker in workers if worker not in late)
        summary = write_done(folder, out, tuple(status for status in statuses if status))
    return summary


def plan_of(folder: Path) -> list[str]:
    """Return the digests of an unpacked archive's units, in the order of training."""
    return [path.stem.partition("-")[2] for path in sorted((folder / "plan").iterdir())]


def write_done(folder: Path, out: Path, died: tuple[int, ...] = ()) -> Summary:
    """Write the archive of the units that are done, and return how far the plan is."""
    units = folder / "home" / "units"
    plan = plan_of(folder)
    done = [digest for digest in plan if (units / digest / "result.json").exists()]
    failures = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "failed").iterdir()}
    failed = {digest: failures[digest] for digest in plan if digest in failures and digest not in done}
    left = [digest for digest in plan if digest not in done and digest not in failed]
    members = {f"units/{digest}/{name}": units / digest / name for digest in done for name in UNIT_FILES}
    write_archive(out, "done", members, {"done": done, "failed": failed, "left": left})
    return Summary(tuple(done), failed, tuple(left), died)


def _unpacked(bundle: Path, folder: Path) -> None:
    """Unpack an archive; units and checkpoints of an earlier run stay."""
    for name in REPLACED:
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    unpack(bundle, "bundle", folder, MEMBERS)
    for name in ("claims", "failed"):
        (folder / name).mkdir()
    if not (folder / "plan").is_dir():
        raise ArtifactError(f"{bundle}: its {MANIFEST} lists no units")


def _start(folder: Path, stop_at: float, processes: int) -> subprocess.Popen[bytes]:
    """Start a process on the archive's own sources, which stand in the folder that it starts in."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    known = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        **os.environ,
        "MASE_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "packages"), *known]),
    }
    command = [sys.executable, "-m", "mase.bundle.worker", str(folder), str(stop_at)]
    return subprocess.Popen(command, cwd=folder, env=environment)


def _wait(workers: list[subprocess.Popen[bytes]], stop_at: float, write: Callable[[], object]) -> None:
    """Return when all processes have ended, or some time after the deadline."""
    written = time.time()
    while any(worker.poll() is None for worker in workers) and time.time() < stop_at + GRACE:
        time.sleep(TICK)
        if time.time() > written + WRITTEN_EVERY:
            write()
            written = time.time()


def _end(workers: list[subprocess.Popen[bytes]]) -> list[subprocess.Popen[bytes]]:
    """End the processes that still run, and return them. Files are written whole or not at all."""
    late = [worker for worker in workers if worker.poll() is None]
    for worker in late:
        worker.kill()
    for worker in workers:
        worker.wait()
    return late


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit`, so that what is done is still written."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
