"""Stopping on purpose: Ctrl-C and SIGTERM become one exception that says how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_resume: list[str] = []


def resumes_with(command: str) -> None:
    """Note the command line that goes on where this process is stopped."""
    _resume[:] = [command]


def resume_line() -> str:
    """Return what to say when stopped."""
    return f"stopped. Go on with:  {_resume[0]}" if _resume else "stopped."


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread when SIGTERM arrives; whatever stops for Ctrl-C stops for it too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def raise_interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal by raising `Interrupted`."""
    raise Interrupted(number)


@contextmanager
def termination_as_exception() -> Iterator[None]:
    """Turn SIGTERM into `Interrupted` while the body runs, so that runs are closed on the way out."""
    previous = signal.signal(signal.SIGTERM, raise_interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def exit_code(cause: BaseException) -> int:
    """Return the shell's exit code of a stop: 128 + the signal's number."""
    return 128 + (cause.number if isinstance(cause, Interrupted) else signal.SIGINT)
