"""Take finished units from the archive that `run` wrote into `$MASE_HOME/units`."""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mase.artifacts import home
from mase.bundle.archive import unpack
from mase.bundle.run import UNIT_FILES
from mase.errors import ArtifactError
from mase.params import Params, read_yaml, validate
from mase.units import RESULT, Unit, load_result

MEMBERS = re.compile(rf"units/[0-9a-f]{{20}}/({'|'.join(map(re.escape, UNIT_FILES))})")


@dataclass(frozen=True)
class Imported:
    """What was in the archive: digests of units.

    Attributes:
        taken: put into the store now.
        known: done here already, and left as they are.
        failed: message by digest, as the archive says.
        left: planned, but not done.
    """

    taken: tuple[str, ...]
    known: tuple[str, ...]
    failed: dict[str, str]
    left: tuple[str, ...]


def take_in(archive: Path) -> Imported:
    """Check every unit of an archive, then put those into the store that are not done here.

    Raises:
        ArtifactError: if a member is damaged or does not belong there, or a unit is not what its params
            name. Nothing is put into the store then.
        DataError, MissingWeightsError: if a unit cannot be named because its data or models are not here.
    """
    store = home() / "units"
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=".import.") as name:
        manifest = unpack(archive, "done", Path(name), MEMBERS)
        found = sorted(Path(name, "units").glob("*"))
        units = [_checked(archive, folder) for folder in found]
        taken = [_put(unit, folder) for unit, folder in zip(units, found, strict=True)]
    return Imported(
        tuple(unit.digest for unit, new in zip(units, taken, strict=True) if new),
        tuple(unit.digest for unit, new in zip(units, taken, strict=True) if not new),
        dict(manifest["failed"]),
        tuple(manifest["left"]),
    )


def _checked(archive: Path, folder: Path) -> Unit:
    """Return the unit in a folder, once the folder is whole and both its files name it as its params do."""
    missing = [name for name in UNIT_FILES if not (folder / name).is_file()]
    if missing:
        raise ArtifactError(f"{archive}: unit {folder.name} has no {', '.join(missing)}")
    params = read_yaml(folder / "params.yaml")
    unit = Unit(validate(Params, params, f"{archive}: params of unit {folder.name}"), folder.name)
    try:
        said = json.loads((folder / RESULT).read_text(encoding="utf-8"))["digest"]
    except (ValueError, KeyError, TypeError) as cause:
        raise ArtifactError(
            f"{archive}: {RESULT} of unit {folder.name} cannot be read ({cause!r})"
        ) from cause
    if not unit.digest == said == folder.name:
        raise ArtifactError(
            f"{archive}: unit {folder.name} is {unit.digest} by its params and {said} by its result. "
            "Its data, its models or the version of mase are not those that it was packed with"
        )
    return unit


def _put(unit: Unit, folder: Path) -> bool:
    """Move a unit's files into the store, its result last; return False if it is done there already."""
    unit.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(unit.folder / ".lock"):
        if load_result(unit) is not None:
            return False
        for name in sorted(UNIT_FILES, key=lambda name: name == RESULT):
            os.replace(folder / name, unit.folder / name)
        shutil.rmtree(unit.folder / "state", ignore_errors=True)
    return True
