"""Which commit of this project is running."""

import subprocess
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def source_commit() -> str | None:
    """Return the commit of the checkout that this package lies in; None if it lies in none.

    An installed package inside somebody else's repository must not report that
    repository's commit, hence the comparison of the top folder.
    """
    project = Path(__file__).resolve().parents[2]
    try:
        answer = subprocess.run(
            ["git", "-C", str(project), "rev-parse", "--show-toplevel", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):  # no git, no commit: not an error
        return None
    lines = answer.stdout.split()
    if answer.returncode != 0 or len(lines) != 2 or Path(lines[0]).resolve() != project:
        return None
    return lines[1]
