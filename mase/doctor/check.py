"""One line of `mase doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]
ORDER: tuple[Status, ...] = ("ok", "warning", "problem")


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it.

    Attributes:
        status: problem: something that was asked for will not work; warning: it works, but not as it
            could, or not as it was tested.
        remedy: a command or a sentence; of an ok check what it would take to have more, or nothing.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""


def worst(checks: Sequence[Check]) -> Status:
    """Return the worst status among checks."""
    return ORDER[max((ORDER.index(check.status) for check in checks), default=0)]
