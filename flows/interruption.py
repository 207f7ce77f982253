"""Stopping on purpose: Ctrl-C and SIGTERM become one exception that says how to go on.

What this process started is ended with it.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import psutil

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
def termination_as_exception(number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    """Turn a signal into `Interrupted` while the body runs, so that runs are closed on the way out."""
    previous = signal.getsignal(number)
    if previous is not signal.SIG_IGN:  # nohup ignores SIGHUP
        signal.signal(number, raise_interrupted)
    try:
        yield
    finally:
        signal.signal(number, previous)


def exit_code(cause: BaseException) -> int:
    """Return the shell's exit code of a stop: 128 + the signal's number."""
    return 128 + (cause.number if isinstance(cause, Interrupted) else signal.SIGINT)


def end_tree(process: "subprocess.Popen[Any]", seconds: float) -> None:
    """Ask a process to end; after `seconds`, or at a second Ctrl-C, kill it and its descendants."""
    if process.poll() is not None:
        return
    tree = descendants(process.pid)  # before it ends, since they lose their parent then
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        tree += descendants(process.pid)
    finally:
        process.kill()
        for child in tree:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        process.wait()


def descendants(pid: int) -> list[psutil.Process]:
    """Return the processes below one; none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
