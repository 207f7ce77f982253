"""Defaults of the environment, overrides from files, stops, progress."""

import io
import os
import signal
from pathlib import Path

import pytest
import yaml

from flows import interruption
from flows.environment import configure, prefect_api_configured
from flows.interruption import Interrupted, exit_code, resume_line, resumes_with, termination_as_exception
from flows.overrides import data_overrides, overrides_of_file
from flows.progress import Progress, current, show_stage
from mase.errors import DataError, ParamsError
from mase.params import parse_override


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return monkeypatch


def test_prefect_lives_below_our_home_unless_the_user_chose(
    clean: pytest.MonkeyPatch, mase_home: Path
) -> None:
    configure()
    assert os.environ["PREFECT_HOME"] == str(mase_home / "prefect")
    assert not mase_home.exists()
    clean.setenv("PREFECT_HOME", "/chosen")
    configure()
    assert os.environ["PREFECT_HOME"] == "/chosen"


def test_an_exported_variable_wins_over_the_quiet_default(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    clean.delenv("OMP_WAIT_POLICY", raising=False)
    configure()
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    clean.setenv("OMP_WAIT_POLICY", "ACTIVE")
    configure()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_server_in_the_active_prefect_profile_is_kept(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profiles = tmp_path / "user" / ".prefect" / "profiles.toml"
    profiles.parent.mkdir(parents=True)
    profiles.write_text('active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n')
    configure()
    assert prefect_api_configured()
    assert "PREFECT_HOME" not in os.environ
    profiles.write_text('active = "alone"\n[profiles.alone]\n')
    assert not prefect_api_configured()


@pytest.mark.parametrize("folder", ["plain", "with space", "it's", "a: b", "#x", "ünïcode"])
def test_a_data_folder_survives_the_way_through_yaml(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder
    path.mkdir()
    source, place = (parse_override(line) for line in data_overrides(path))
    assert source == {"data": {"source": "files"}}
    assert place == {"data": {"dir": str(path)}}
    with pytest.raises(DataError, match="no such folder"):
        data_overrides(path / "missing")


def test_a_file_of_overrides_means_what_it_says(tmp_path: Path) -> None:
    content = {
        "contrastive": {"alpha": 1e-05, "head_width": None},
        "modalities": ["text", "image"],
        "graph": None,
    }
    path = tmp_path / "overrides.yaml"
    path.write_text(yaml.safe_dump({"about": "x", **content}), encoding="utf-8")
    merged: dict[str, object] = {}
    for line in overrides_of_file(path):
        key, value = next(iter(parse_override(line).items()))
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) else value
    assert merged == content
    path.write_text("about: x\n", encoding="utf-8")
    with pytest.raises(ParamsError, match="sets no params"):
        overrides_of_file(path)


def test_a_termination_signal_becomes_an_exception_and_is_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught, termination_as_exception():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert exit_code(caught.value) == 143
    assert exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_line_that_goes_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_resume", [])
    assert resume_line() == "stopped."
    resumes_with("mase train looks")
    assert resume_line() == "stopped. Go on with:  mase train looks"


def test_progress_without_a_terminal_is_one_line_a_unit() -> None:
    stream, seen = io.StringIO(), []
    with Progress(2, watch=lambda done, total: seen.append((done, total)), stream=stream) as progress:
        assert current() is progress
        for label, failed in (("first", False), ("second", True)):
            progress.start(label)
            show_stage("train", 1, 3)
            progress.finish("fine", failed=failed)
    lines = stream.getvalue().splitlines()
    assert [line.partition("] ")[2] for line in lines] == ["first: fine", "second: fine"]
    assert seen == [(1, 2), (2, 2)]
    assert current() is not progress


def test_progress_on_a_terminal_is_a_bar_and_only_failures_are_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(2, stream=stream) as progress:
        progress.start("first")
        progress.stage("train", 1, 3)
        progress.finish("fine")
        progress.start("second")
        progress.finish("broken", failed=True)
    lines = [line for line in stream.getvalue().replace("\r", "\n").splitlines() if "broken" in line]
    assert lines and "second" in lines[0]
    assert "fine" not in stream.getvalue()
