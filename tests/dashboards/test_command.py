"""`mase dashboard`: what it starts, and what it says where it cannot."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards import __main__ as server
from flows.cli import app
from flows.commands import dashboard

ROOT = Path(__file__).resolve().parents[2]


def test_without_streamlit_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    result = CliRunner().invoke(app, ["dashboard"])
    assert result.exit_code == 2
    assert "pip install 'mase[dashboard]'" in result.output


def test_the_server_is_this_interpreter_and_finds_the_pages_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = dashboard.server_command("127.0.0.1", 8501)
    assert command[0] == sys.executable
    monkeypatch.setenv("MASE_HOME", "relative")
    monkeypatch.setenv("PYTHONPATH", "mine")
    environment = dashboard.server_environment()
    assert environment["PYTHONPATH"] == os.pathsep.join([str(ROOT), "mine"])
    assert environment["MASE_HOME"] == str(Path.cwd() / "relative")
    found = subprocess.run(
        [sys.executable, "-c", "import dashboards.__main__ as m; print(m.APP)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(found.stdout.strip()) == ROOT / "dashboards" / "app.py"
    assert server.APP.exists()


def test_nothing_is_told_to_streamlits_makers() -> None:
    assert "--browser.gatherUsageStats=false" in server.OPTIONS
    assert "--server.headless=true" in server.OPTIONS


def test_a_server_that_cannot_start_gives_its_exit_code(tmp_path: Path) -> None:
    code = dashboard.run_until_stopped([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ))
    assert code == 3


def test_the_console_script_is_the_app() -> None:
    (script,) = (e for e in entry_points(group="console_scripts") if e.name == "mase")
    assert script.value == "flows.cli:app"
