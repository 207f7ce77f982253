"""The package that FACTUAL's T5 parser comes in: its name, its checkpoint, and whether it is here."""

import re
from importlib.metadata import PackageNotFoundError, version

from mase.errors import ScenegraphError

PACKAGE = "FactualSceneGraph"
BELOW = (0, 7)
"""Versions from this one on call what transformers 5 no longer has."""
CHECKPOINT = "lizhuang144/flan-t5-base-VG-factual-sg"


def installed_version() -> str:
    """Return the version of the FactualSceneGraph package that is installed.

    Raises:
        ScenegraphError: if it is not installed, or is one that calls what transformers 5 no longer has.
    """
    below = ".".join(map(str, BELOW))
    remedy = (
        f'pip install "{PACKAGE}<{below}" (it fetches the checkpoint {CHECKPOINT} '
        f"at first use), or choose the parser learned or rules"
    )
    try:
        found = version(PACKAGE)
    except PackageNotFoundError as cause:
        raise ScenegraphError(
            f"the parser factual-t5 needs the package {PACKAGE}, which is not installed: {remedy}"
        ) from cause
    if tuple(map(int, re.findall(r"\d+", found)[:2])) >= BELOW:
        raise ScenegraphError(f"{PACKAGE} {found} does not work with transformers 5: {remedy}")
    return found
