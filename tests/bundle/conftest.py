"""A packed table of three small units, and what is done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.request import Request, make_plan, unfinished
from mase.bundle.archive import MEBIBYTE, unpack
from mase.bundle.pack import Packed, pack
from mase.bundle.run import MEMBERS, REPLACED
from mase.units import Unit

TABLE = """
about: Three rows on one task.
name: tiny
title: Three rows
columns: [looks]
reference: Text only
primary: Full MASE
rows:
  - {label: Text only, group: reference, overlays: [methods/text]}
  - {label: Full MASE, group: method, overlays: [methods/mase]}
  - {label: CLIP +None, group: method, overlays: [methods/mc_ptm_image]}
"""


@dataclass(frozen=True)
class Table:
    """A packed table, the home that it was packed in, and what `mase reproduce` would be asked."""

    request: Request
    home: Path
    archive: Path
    packed: Packed

    def todo(self) -> Sequence[Unit]:
        """Return the units that `$MASE_HOME` lacks."""
        return unfinished(make_plan(self.request))

    def unpacked(self, folder: Path) -> Path:
        """Return a folder as `run` leaves it to its processes."""
        return unpacked(self.archive, folder)


def unpacked(archive: Path, folder: Path) -> Path:
    """Return a folder as `run` leaves it to its processes."""
    unpack(archive, "bundle", folder, MEMBERS)
    for name in REPLACED:
        (folder / name).mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Pack the table once; the tests get homes of their own, with nothing in them."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "tiny.yaml").write_text(TABLE, encoding="utf-8")
    request = Request("smoke", (str(folder / "tiny.yaml"),), seeds=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(folder / "home"))
        packed = pack(unfinished(make_plan(request)), folder / "b.tar", 60 * MEBIBYTE)
    return Table(request, folder / "home", folder / "b.tar", packed)
