"""Units that were packed, trained from the archive alone and imported are the units that train here."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mase.bundle import worker
from mase.bundle.archive import MEBIBYTE, write_archive
from mase.bundle.importing import take_in
from mase.bundle.pack import pack
from mase.bundle.run import UNIT_FILES, run, write_done
from mase.errors import ArtifactError, DataError
from mase.params import load_params
from mase.units import Unit, train
from tests.bundle.conftest import Table, unpacked

NEVER = float("inf")
BARE = Path(__file__).with_name("bare_machine")


def predictions(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions.parquet")


@contextmanager
def another_machine(folder: Path) -> Iterator[None]:
    """Have the home of an unpacked archive, and no data."""

    def no_data(*_: object) -> None:
        raise DataError("no data on this machine")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(folder / "home"))
        patch.setattr("mase.identity.prepare", no_data)
        patch.setattr("mase.identity._PREPARED", {})
        yield


@pytest.fixture(scope="module")
def done(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train what the archive holds in this process, and return the archive of what is done."""
    folder = table.unpacked(tmp_path_factory.mktemp("there"))
    with another_machine(folder):
        worker.work(folder, NEVER)
    summary = write_done(folder, folder / "done.tar")
    assert (len(summary.done), summary.failed, summary.left) == (3, {}, ())
    return folder / "done.tar"


def test_imported_units_are_done_and_equal_those_trained_here(
    table: Table, done: Path, mase_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(table.todo()) == 3
    found = take_in(done)
    assert set(found.taken) == {unit.digest for unit in table.packed.units}
    assert table.todo() == []
    assert sorted(path.name for path in (mase_home / "units").iterdir()) == sorted(found.taken)
    imported = {unit.digest: predictions(unit.folder) for unit in table.packed.units}
    assert len(imported) == 3
    monkeypatch.setenv("MASE_HOME", str(tmp_path / "other"))
    full = table.packed.units[1]
    pd.testing.assert_frame_equal(imported[full.digest], predictions(train(full).folder))


def test_what_is_done_already_is_left_and_a_half_done_unit_is_replaced(table: Table, done: Path) -> None:
    first, second, third = table.packed.units
    take_in(done)
    (first.folder / "allocation.csv").write_text("mine")
    (second.folder / "result.json").unlink()
    (second.folder / "state").mkdir()
    found = take_in(done)
    assert found.taken == (second.digest,)
    assert set(found.known) == {first.digest, third.digest}
    assert (first.folder / "allocation.csv").read_text() == "mine"
    assert not (second.folder / "state").exists()


def changed(done: Path, out: Path, unit: str, **files: bytes) -> Path:
    """Write an archive of one unit, whose manifest is right about files that are not."""
    with tarfile.open(done) as tar:
        names = {f"units/{unit}/{name}" for name in UNIT_FILES}
        members = {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    members |= {f"units/{unit}/{name.replace('_', '.')}": content for name, content in files.items()}
    write_archive(out, "done", members, {"failed": {}, "left": []})
    return out


def test_a_unit_that_its_params_do_not_name_is_refused(
    table: Table, done: Path, tmp_path: Path, mase_home: Path
) -> None:
    unit = table.packed.units[1]
    params = unit.params.model_dump(mode="json") | {"seed": 7}
    forged = changed(done, tmp_path / "f.tar", unit.digest, params_yaml=yaml.safe_dump(params).encode())
    with pytest.raises(ArtifactError, match="by its params"):
        take_in(forged)
    other = json.dumps({"digest": table.packed.units[0].digest}).encode()
    with pytest.raises(ArtifactError, match="by its result"):
        take_in(changed(done, tmp_path / "r.tar", unit.digest, result_json=other))
    with pytest.raises(ArtifactError, match="cannot be read"):
        take_in(changed(done, tmp_path / "n.tar", unit.digest, result_json=b"[]"))
    with pytest.raises(ArtifactError, match="nothing that belongs"):
        take_in(changed(done, tmp_path / "m.tar", unit.digest, model_bin=b"x"))
    assert list((mase_home / "units").iterdir()) == []
    assert take_in(changed(done, tmp_path / "g.tar", unit.digest)).taken == (unit.digest,)


def test_a_flipped_byte_is_refused_on_either_side(table: Table, done: Path, tmp_path: Path) -> None:
    for source, part in ((table.archive, b"import json"), (done, b"PAR1")):
        raw = bytearray(source.read_bytes())
        raw[raw.index(part)] ^= 1
        (tmp_path / "bad.tar").write_bytes(raw)
        with pytest.raises(ArtifactError, match="does not match its checksum"):
            if source == done:
                take_in(tmp_path / "bad.tar")
            else:
                run(tmp_path / "bad.tar", tmp_path / "done.tar", say=lambda _: None)
    assert not (tmp_path / "done.tar").exists()


def test_a_deadline_of_zero_trains_nothing_and_writes_an_archive(table: Table, tmp_path: Path) -> None:
    summary = run(table.archive, tmp_path / "d.tar", deadline=0, say=lambda _: None)
    assert summary.left == tuple(unit.digest for unit in table.packed.units)
    found = take_in(tmp_path / "d.tar")
    assert (found.taken, found.left) == ((), summary.left)


def clock(after: int) -> Iterator[float]:
    """Yield moments before 1, and from call number `after` on later ones."""
    return (0.0 if number < after else 2.0 for number in count())


def test_a_unit_stopped_at_the_deadline_goes_on_from_its_checkpoint(
    table: Table, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = table.unpacked(tmp_path / "there")
    monkeypatch.setenv("MASE_HOME", str(folder / "home"))
    ticks = clock(after=5)
    with monkeypatch.context() as patch:
        patch.setattr(worker.time, "time", lambda: next(ticks))
        worker.work(folder, 1.0)
    first = table.packed.units[0].digest
    assert [path.name for path in (folder / "claims").iterdir()] == [first]
    assert (folder / "home" / "units" / first / "state" / "checkpoint.pt").exists()
    assert write_done(folder, tmp_path / "d.tar").done == ()
    (folder / "claims" / first).unlink()
    for unit in table.packed.units[1:]:
        (folder / "claims" / unit.digest).touch()
    worker.work(folder, NEVER)
    assert write_done(folder, tmp_path / "d.tar").done == (first,)
    uninterrupted = done.parent / "home" / "units" / first
    pd.testing.assert_frame_equal(predictions(folder / "home" / "units" / first), predictions(uninterrupted))


def test_a_unit_that_fails_leaves_the_others_and_is_named(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = table.unpacked(tmp_path / "there")
    monkeypatch.setenv("MASE_HOME", str(folder / "home"))
    shutil.rmtree(folder / "home" / "graphs")
    claimed = table.packed.units[0].digest
    (folder / "claims" / claimed).touch()
    worker.work(folder, NEVER)
    summary = write_done(folder, tmp_path / "d.tar")
    assert summary.done == (table.packed.units[2].digest,)
    assert summary.left == (claimed,)
    assert list(summary.failed) == [table.packed.units[1].digest]
    assert "ArtifactError" in take_in(tmp_path / "d.tar").failed[table.packed.units[1].digest]


def bare(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without the packages that a machine that only trains may lack."""
    environment = {**os.environ, "PYTHONPATH": str(BARE)}
    environment.pop("MASE_HOME")
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=110
    )


def test_the_bare_machine_lacks_what_it_should(tmp_path: Path) -> None:
    code = """
import importlib.util, sitecustomize
print(len(sitecustomize.HIDDEN) > 10, [n for n in sitecustomize.HIDDEN if importlib.util.find_spec(n)])
"""
    assert bare(tmp_path, "-c", code).stdout == "True []\n"


def test_a_probe_trains_there_by_itself(shared_data: Path, tmp_path: Path) -> None:
    """Here probes share a training, which is named by data and models that are not there."""
    files = ("data.source=files", f"data.dir={shared_data}", "data.max_train_rows=40", "data.max_eval_rows=8")
    params = load_params("memory_color", profile="smoke", overlays=("methods/mpb",), overrides=files)
    unit = Unit(params, "probe")
    pack([unit], tmp_path / "b.tar", 60 * MEBIBYTE)
    folder = unpacked(tmp_path / "b.tar", tmp_path / "there")
    with another_machine(folder):
        worker.work(folder, NEVER)
    assert write_done(folder, tmp_path / "d.tar").failed == {}
    assert take_in(tmp_path / "d.tar").taken == (unit.digest,)
    imported = predictions(unit.folder)
    (unit.folder / "result.json").unlink()
    pd.testing.assert_frame_equal(imported, predictions(train(unit).folder))


def test_a_process_whose_starter_is_gone_stops(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = table.unpacked(tmp_path / "there")
    monkeypatch.setenv("MASE_HOME", str(folder / "home"))
    starters = iter([7, 7, 7, 1, 1, 1])
    monkeypatch.setattr(worker.os, "getppid", lambda: next(starters))
    worker.work(folder, NEVER)
    assert len(list((folder / "claims").iterdir())) == 1
    assert write_done(folder, tmp_path / "d.tar").done == ()


@pytest.mark.slow
def test_a_bare_machine_trains_the_archive_with_two_processes(table: Table, tmp_path: Path) -> None:
    """Its faster sibling trains in this process: `test_imported_units_are_done_...`."""
    with tarfile.open(table.archive) as tar:
        sources = [member for member in tar.getmembers() if member.name.startswith("mase/")]
        tar.extractall(tmp_path, sources, filter="data")
    command = ["-m", "mase.bundle", "run", str(table.archive), "--out", "done.tar", "--processes", "2"]
    ran = bare(tmp_path, *command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 done, 0 failed, 0 left" in ran.stdout
    assert len(take_in(tmp_path / "done.tar").taken) == 3
    assert table.todo() == []
