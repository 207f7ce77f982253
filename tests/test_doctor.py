"""`mase doctor`: each check sees what it is for, says what to do, and changes nothing."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands import doctor as command
from flows.prefect_check import check_prefect
from mase.doctor import Check, inputs, machine, store, versions, worst
from mase.errors import ParamsError
from mase.params import available


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port that is held, and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *words], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_a_sound_machine_has_no_problem_and_nothing_is_made(mase_home: Path) -> None:
    code, output = run()
    assert code == 0
    assert "PROBLEM" not in output and "\n0 problems" in output
    for name in ("Python", "Packages", "Threads", "Accelerator", "Disk", "Tracking store", "Prefect server"):
        assert name in output
    assert "Tower embedded-image" in output and "the embedded tasks need none" in output
    assert not mase_home.exists()


def test_a_problem_is_exit_code_1_and_a_script_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_TRACKING_URI", "./runs")
    code, output = run("--json")
    found = json.loads(output)
    assert (code, found["status"]) == (1, "problem")
    (wrong,) = [check for check in found["checks"] if check["status"] == "problem"]
    assert wrong["name"] == "Tracking store" and "is a folder" in wrong["found"] and wrong["remedy"]


def test_every_complaint_says_what_to_do() -> None:
    checks = [
        versions.check_python((3, 9, 1)),
        *versions.check_packages(["torch>=99", "no-such-package>=1"], {}),
        *inputs.check_models("paper"),
        *inputs.check_data(Path("no-such-folder")),
    ]
    complaints = [check for check in checks if check.status != "ok"]
    assert len(complaints) >= 6
    assert not [check.name for check in complaints if not check.remedy]
    assert worst(checks) == "problem" and worst([]) == "ok"
    assert worst([Check("a", "ok", ""), Check("b", "warning", "")]) == "warning"


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [
        ("0.150.3", "fastapi>=0.139,<0.151", True),
        ("0.151.0", "fastapi>=0.139,<0.151", False),
        ("0.138", "fastapi>=0.139,<0.151", False),
        ("3.10.0rc1", "x>=3.10", True),
        ("2.14.1+cu130", "torch>=2.11", True),
        ("2.9", "torch>=2.11", False),
        ("3.2.1", "psycopg[binary]>=3.2", True),
        ("1.0", "x", True),
    ],
)
def test_a_version_is_compared_by_number(version: str, requirement: str, expected: bool) -> None:
    assert versions.within(version, requirement) is expected


def test_a_fastapi_that_breaks_prefect_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"fastapi": "0.165.0"}
    monkeypatch.setattr(versions, "installed", lambda name: found.get(name, "999"))
    (check,) = versions.check_packages(["fastapi>=0.139,<0.151", "torch>=2.11"], {})
    assert check.status == "problem"
    assert "0.165.0" in check.found and "Prefect's clients fail" in check.found
    assert check.remedy == "pip install 'fastapi>=0.139,<0.151'"


def test_the_bounds_are_those_of_the_project() -> None:
    required, extras = versions.wanted()
    assert "fastapi>=0.139,<0.151" in required
    assert set(versions.EXTRAS) == set(extras) - {"test", "bench"}


def test_another_version_than_tested_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("# pins\nprefect==3.0.0\n")
    (check,) = versions.check_freeze(tmp_path / "c.txt")
    assert check.status == "warning" and "(tested 3.0.0)" in check.found
    assert not list(versions.check_freeze(tmp_path / "none.txt"))


def test_too_many_threads_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    check = machine.check_threads()
    assert check.status == "warning" and check.remedy.startswith("export OMP_NUM_THREADS=")


def test_a_gpu_that_pytorch_does_not_see_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (check,) = machine.check_accelerator()
    assert check.status == "warning" and "sees no GPU" in check.found


@pytest.mark.parametrize(("free", "status"), [(2**28, "problem"), (2**31, "warning"), (2**34, "ok")])
def test_little_room_is_said(free: int, status: str) -> None:
    assert machine.disk_check(Path("here"), free).status == status


def test_a_home_below_a_file_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASE_HOME", str(tmp_path / "file" / "home"))
    (check,) = machine.check_home()
    assert check.status == "problem" and "MASE_HOME" in check.remedy


def test_java_is_found_with_its_files_or_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no java" in machine.check_java().found
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("MASE_JAVA_METRICS", str(tmp_path))
    assert "SPICE not computed" in machine.check_java().found
    for names in machine.JAVA_METRICS.values():
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
    assert "have their files" in machine.check_java().found


def test_a_store_that_nobody_serves_is_a_problem_and_keeps_its_password(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"postgresql://127.0.0.1:{silent_port}/mlflow"
    for uri in (address.replace("://", "://mase:sec/ret@"), f"{address}?user=mase&password=sec/ret"):
        monkeypatch.setenv("MASE_TRACKING_URI", uri)
        check = store.check_store()
        assert check.status == "problem" and check.found.startswith(f"{address}: nothing answers"), check
        assert "ret" not in check.found + check.remedy


@pytest.mark.slow
def test_a_store_of_another_schema_is_a_problem(mase_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mase.tracking.mlflow_tracker import _connect

    mase_home.mkdir()
    path = mase_home / "mlflow.db"
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{path}")
    _connect(f"sqlite:///{path}").search_experiments()
    assert store.check_store().status == "ok"
    _connect.cache_clear()
    copy = mase_home / "older.db"
    copy.write_bytes(path.read_bytes())
    with sqlite3.connect(copy) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{copy}")
    check = store.check_store()
    assert check.status == "problem" and "schema" in check.found
    assert 'mlflow db upgrade "$MASE_TRACKING_URI"' in check.remedy


def test_a_file_that_is_no_store_is_a_problem(mase_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mase_home.mkdir()
    (mase_home / "notes.db").write_text("not a database, but long enough to be read as one")
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{mase_home / 'notes.db'}")
    check = store.check_store()
    assert check.status == "problem" and "not a SQLite file" in check.found


def test_a_prefect_server_that_does_not_answer_is_a_problem(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_prefect().status == "ok"  # none is named
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent_port}/api")
    check = check_prefect()
    assert check.status == "problem" and "does not answer" in check.found and "mase serve" in check.remedy


def test_a_profile_says_which_towers_are_needed() -> None:
    paper = {check.name: check for check in inputs.check_models("paper")}
    assert paper["Tower audioclip"].status == "problem"
    assert "AudioCLIP-Full-Training.pt" in paper["Tower audioclip"].remedy
    assert paper["Tower clip-vit-b32"].status == "warning"
    with pytest.raises(ParamsError, match="did you mean 'paper'"):
        list(inputs.check_models("papr"))


def test_a_checkpoint_where_it_is_looked_for_is_found(mase_home: Path) -> None:
    (mase_home / "checkpoints").mkdir(parents=True)
    (mase_home / "checkpoints" / "AudioCLIP-Full-Training.pt").write_bytes(b"x")
    check = inputs.check_tower(inputs.tower_named("audioclip"), needed=True)
    assert (check.status, check.found) == (
        "ok",
        str(mase_home / "checkpoints" / "AudioCLIP-Full-Training.pt"),
    )


def test_the_data_sets_are_the_thirteen_of_the_paper(tmp_path: Path) -> None:
    assert len(set(inputs.DATA_SETS)) == 13 and set(inputs.DATA_SETS) <= set(available("tasks"))
    checks = list(inputs.check_data(tmp_path))
    assert [check.status for check in checks] == ["warning"] * 13
    vqa = next(check for check in checks if "VQA" in check.name)
    assert "v2_mscoco_val2014_annotations.json" in vqa.found
    folder = tmp_path / "glue" / "SST-2"
    folder.mkdir(parents=True)
    (folder / "train.tsv").touch()
    sst2 = next(iter(inputs.check_data(tmp_path)))
    assert sst2.found == "missing: SST-2/dev.tsv"


def test_the_data_here_are_whole(shared_data: Path) -> None:
    assert [check.found for check in inputs.check_data(shared_data) if check.status != "ok"] == []


def test_the_shipped_weights_match_their_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inputs.check_shipped().status == "ok"
    monkeypatch.setattr(inputs, "sha256_file", lambda path: "0" * 64)
    check = inputs.check_shipped()
    assert check.status == "problem" and "trained-image.safetensors" in check.found


def test_a_missing_package_ends_the_checks_before_they_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = versions.installed
    monkeypatch.setattr(versions, "installed", lambda name: None if name == "torch" else there(name))
    checks = command.every_check("demo", None)
    assert "Package torch" in [check.name for check in checks if check.status == "problem"]
    assert "Threads" not in [check.name for check in checks]
