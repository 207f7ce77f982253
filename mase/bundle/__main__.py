"""`python -m mase.bundle run BUNDLE.tar --out DONE.tar`, on a machine that has not got the `mase` command.

Exit codes: 0 if every unit is done or the deadline came first, 1 if units failed or an archive is not whole.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mase.bundle.run import Summary, run
from mase.errors import MaseError


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m mase.bundle", description="Train what `mase bundle pack` packed."
    )
    command = parser.add_subparsers(required=True, metavar="run").add_parser(
        "run", help="train the units of an archive, and write those that are done as another one"
    )
    command.add_argument("bundle", type=Path, help="archive of `mase bundle pack`")
    command.add_argument("--out", type=Path, required=True, help="archive to write, for `mase bundle import`")
    command.add_argument("--processes", type=int, default=1, help="units at a time, on one card (default: 1)")
    command.add_argument("--deadline", type=float, help="stop so many seconds from now")
    command.add_argument("--folder", type=Path, help="where to unpack and train (default: beside --out)")
    return parser.parse_args(words)


def _line(summary: Summary, out: Path) -> str:
    failed = "".join(f"\n  failed: {digest}  {message}" for digest, message in summary.failed.items())
    died = f"\n  processes that died: {', '.join(map(str, summary.died))}" if summary.died else ""
    numbers = f"{len(summary.done)} done, {len(summary.failed)} failed, {len(summary.left)} left"
    return f"{out}: {numbers}{failed}{died}"


def main(words: Sequence[str] | None = None) -> int:
    """Carry out the command line; return its exit code."""
    asked = _arguments(words)
    try:
        summary = run(
            asked.bundle,
            asked.out,
            processes=max(1, asked.processes),
            deadline=asked.deadline,
            folder=asked.folder,
        )
    except MaseError as cause:
        print(f"error: {cause}", file=sys.stderr)
        return 1
    print(_line(summary, asked.out))
    return 1 if summary.failed or summary.died else 0


if __name__ == "__main__":
    raise SystemExit(main())
