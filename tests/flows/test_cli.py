"""The command line: its help, its errors, and what it leaves on disk when it fails."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app

COMMANDS = [
    "reproduce", "ablations", "report", "train", "tune", "predict", "explain", "compare", "verdict",
    "parse", "runs", "serve", "register", "doctor", "dashboard",
    "parse evaluate", "parse coverage", "towers check", "towers train", "proxies extract",
    "params check", "params show", "bundle pack", "bundle import", "bundle fp16",
]  # fmt: skip


def mase(*words: str, text: str = "") -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, output and error output."""
    result = CliRunner().invoke(app, list(words), input=text, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    code, output, _ = mase(*command.split(), "--help")
    assert code == 0
    assert "Usage" in output


ERRORS = [
    (["train", "nope"], "no task 'nope'"),
    (["train", "moves", "--set", "contrastive.alpa=1"], "did you mean 'alpha'"),
    (["train", "moves", "--set", "contrastive.alpha"], "expected key=value"),
    (["train", "moves", "--set", "contrastive.alpha=-1"], "contrastive.alpha"),
    (["train", "moves", "--method", "mpd"], "no method, ablation or control 'mpd'"),
    (["train", "moves", "--profile", "smok"], "did you mean 'smoke'"),
    (["train", "moves", "--params", "no-such.yaml"], "no-such.yaml"),
    (["train", "mrpc", "--data-dir", "no-such-folder"], "no-such-folder"),
    (["train", "mrpc", "--profile", "local"], "--data-dir"),
    (["reproduce", "--table", "99"], "table99"),
    (["reproduce", "--figure", "9"], "no figure '9'"),
    (["reproduce", "--tasks", "looks,,moves"], "separated by commas"),
    (["reproduce", "--tasks", "mrpc"], "no column 'mrpc'"),
    (["reproduce", "--seeds", "0"], "--seeds"),
    (["reproduce", "--no-such-option"], "--no-such-option"),
    (["ablations", "--preset", "sonud"], "did you mean 'sound'"),
    (["tune", "moves", "--search", "nope"], "no search 'nope'"),
    (["tune", "moves", "--method", "text"], "contrastive.alpha: starts at 0"),
    (["predict", "no-such-unit", "--text", "a"], "no-such-unit"),
    (["predict", "no-such-unit"], "either --text or --file"),
    (["parse", "no-such-file"], "no-such-file"),
    (["proxies", "extract", "--tower", "nope"], "nope"),
    (["nonsense"], "nonsense"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS, ids=lambda value: str(value)[:40])
def test_a_bad_argument_is_one_message_and_exit_code_2(
    words: list[str], message: str, mase_home: Path
) -> None:
    code, output, errors = mase(*words, text="a text\n")
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not output
    assert not mase_home.exists()


def test_a_data_folder_without_the_files_is_a_data_error(tmp_path: Path, mase_home: Path) -> None:
    code, _, errors = mase("reproduce", "--profile", "local", "--data-dir", str(tmp_path), "--tasks", "mrpc")
    assert code == 2
    assert str(tmp_path) in errors
    assert not mase_home.exists()


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_bytes(b"fine\n\xff\n")
    code, _, errors = mase("parse", str(path))
    assert code == 2
    assert f"{path}, line 2" in errors


def test_parse_prints_one_object_a_line() -> None:
    code, output, _ = mase("parse", "--json", text="A red car.\n\nA dog on a mat.\n")
    parsed = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [graph["text"] for graph in parsed] == ["A red car.", "", "A dog on a mat."]
    assert parsed[0]["entities"][0]["attributes"] == ["red"]


def test_only_a_newline_ends_a_text() -> None:
    _, output, _ = mase("parse", "--json", text="A red\u2028car.\r\nA dog.\n")
    assert [json.loads(line)["text"] for line in output.splitlines()] == ["A red\u2028car.", "A dog."]


def test_proxies_are_extracted_once_for_repeated_texts(mase_home: Path) -> None:
    code, output, _ = mase("proxies", "extract", "--tower", "random-image", "--json", text="a\nb\na\n")
    result = json.loads(output)
    assert code == 0
    assert (result["texts"], Path(result["folder"]).is_dir()) == (3, True)
    assert Path(result["folder"]).is_relative_to(mase_home)


def test_a_dry_run_prints_the_plan_and_writes_nothing(mase_home: Path, tiny_table: str) -> None:
    code, output, _ = mase(
        "reproduce", "--profile", "smoke", "--table", tiny_table, "--seeds", "2", "--dry-run"
    )
    assert code == 0
    assert "6 units, 0 done, 6 to train" in output
    assert "contrastive.alpha=0.0" in output
    assert not mase_home.exists()


def test_a_dry_run_can_be_read_by_a_script(tiny_table: str) -> None:
    _, output, _ = mase(
        "reproduce", "--profile", "smoke", "--table", tiny_table, "--seeds", "1", "--dry-run", "--json"
    )
    plan = json.loads(output)
    assert plan["to_train"] == 3
    assert plan["units"][0]["cells"] == [["Text only", "looks"]]


def test_every_shipped_params_file_is_sound() -> None:
    code, output, _ = mase("params", "check")
    assert (code, "combinations are sound" in output) == (0, True)


def test_a_params_file_of_ones_own_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("contrastive: {alpa: 1}\n", encoding="utf-8")
    code, _, errors = mase("params", "check", str(path))
    assert code == 2
    assert "did you mean 'alpha'" in errors


def test_params_show_prints_what_a_file_and_set_come_to(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("about: x\ncontrastive: {alpha: 0.5, tau: 0.2}\n", encoding="utf-8")
    code, output, _ = mase("params", "show", "looks", "--params", str(path), "--set", "contrastive.tau=0.3")
    assert code == 0
    assert "alpha: 0.5" in output and "tau: 0.3" in output


def test_runs_of_an_empty_home_are_none(mase_home: Path) -> None:
    assert mase("runs")[:2] == (0, "no runs\n")
    assert not mase_home.exists()


def test_help_comes_quickly_and_without_the_heavy_libraries() -> None:
    heavy = ("torch", "prefect", "mlflow", "optuna", "pandas", "sklearn", "matplotlib")
    code = f"import sys; import flows.cli; print([m for m in {heavy!r} if m in sys.modules])"
    start = time.monotonic()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert time.monotonic() - start < 5  # 0.5 s on a quiet machine
