"""One of the processes that train an archive's units: `python -m mase.bundle.worker FOLDER STOP_AT`.

Processes share the work by claiming units: who makes the file `claims/<digest>` trains the unit.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mase.artifacts import write_atomically
from mase.errors import MaseError
from mase.units import RESULT, Unit


class Stopped(Exception):
    """Raised between two steps; what the last checkpoint holds goes on from there."""


def work(folder: Path, stop_at: float) -> None:
    """Train the units of an unpacked archive that nobody has claimed, until none is left or `stop_at`.

    Stops as well if the process that started this one is gone, since nobody would collect the units.
    A unit that fails leaves `failed/<digest>.txt`, and the next is begun. An exception that is no failure of
    a unit is a defect, and ends the process.
    """
    parent = os.getppid()

    def is_over() -> bool:
        return time.time() >= stop_at or os.getppid() != parent

    for path in sorted((folder / "plan").iterdir()):
        if is_over():
            return
        digest = path.stem.partition("-")[2]
        if _claimed(folder, digest):
            try:
                _train(path, folder, is_over)
            except Stopped:
                return
            except (MaseError, ImportError, RuntimeError, MemoryError, OSError) as cause:
                traceback.print_exc()
                write_atomically(folder / "failed" / f"{digest}.txt", f"{type(cause).__name__}: {cause}")


def _claimed(folder: Path, digest: str) -> bool:
    """Claim a unit; return whether it is this process's."""
    try:
        (folder / "claims" / digest).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _train(path: Path, folder: Path, is_over: Callable[[], bool]) -> None:
    from mase.bundle.reading import read_unit  # brings in torch
    from mase.training import train_unit

    def stop_in_time(_stage: str, _done: int, _total: int) -> None:
        if is_over():
            raise Stopped

    unit, given = read_unit(path, folder / "rows")
    if (unit.folder / RESULT).exists():
        return
    start = time.monotonic()
    unit.folder.mkdir(parents=True, exist_ok=True)
    train_unit(unit, None, stop_in_time, None, keep_model=False, given=given)
    _say(unit, time.monotonic() - start)


def _say(unit: Unit, seconds: float) -> None:
    print(f"{unit.digest}  {unit.label}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), float(sys.argv[2]))
