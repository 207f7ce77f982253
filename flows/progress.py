"""Progress of long work: a bar on a terminal, a plain line now and then otherwise.

Everything goes to the error stream, so that the output of a command stays clean. A process
has one terminal, so it shows one progress at a time: the innermost `with Progress(...)`.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

QUIET_SECONDS = 30.0


class Progress:
    """Show how many units of a plan are done, and how far the current one is."""

    def __init__(
        self, total: int, *, watch: Callable[[int, int], None] | None = None, stream: TextIO | None = None
    ) -> None:
        """Begin at none of `total` units; `watch` is called with (done, total) after each."""
        self.total = total
        self.watch = watch
        self.done = 0
        self.stream = stream or sys.stderr
        self._label = ""
        self._started = self._last_line = time.monotonic()
        self._bar = None
        if self.stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, file=self.stream, unit="unit", leave=False, dynamic_ncols=True)

    def __enter__(self) -> Self:
        _shown.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _shown.remove(self)
        if self._bar is not None:
            self._bar.close()

    def line(self, text: str) -> None:
        """Write one line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)
        self._last_line = time.monotonic()

    def start(self, label: str) -> None:
        """Say which unit begins."""
        self._label = label
        if self._bar is not None:
            self._bar.set_description_str(label)

    def stage(self, stage: str, done: int, total: int) -> None:
        """Say how far the current unit is; shaped like the `progress` argument of `mase.units.train`."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{stage} {done}/{total}")
        elif time.monotonic() - self._last_line > QUIET_SECONDS:
            self.line(f"{self._prefix()} {self._label}: {stage} {done}/{total}")

    def finish(self, outcome: str, *, failed: bool = False) -> None:
        """Count the current unit and say how it ended; a bar leaves no line, unless it failed."""
        self.done += 1
        if self.watch is not None:
            self.watch(self.done, self.total)
        if self._bar is not None:
            self._bar.update(1)
        if self._bar is None or failed:
            self.line(f"{self._prefix()} {self._label}: {outcome}")

    def _prefix(self) -> str:
        return f"[{self.done}/{self.total} {time.monotonic() - self._started:.0f}s]"


_shown: list[Progress] = []


def current() -> Progress:
    """Return the progress on show; outside of any, one that shows a unit at a time."""
    return _shown[-1] if _shown else Progress(1)


def show_stage(stage: str, done: int, total: int) -> None:
    """Pass a stage on to the progress on show, if there is one."""
    if _shown:
        _shown[-1].stage(stage, done, total)
