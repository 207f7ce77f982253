import json
from pathlib import Path

from typer.testing import CliRunner

from flows.cli import app


def test_check_prints_json_without_any_data() -> None:
    result = CliRunner().invoke(
        app, ["towers", "check", "embedded-image", "--against", "random-audio", "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["tower"], report["modality"], report["retrieval"]) == ("embedded-image", "image", {})
    assert set(report["cka"]) == {"random", "random-audio"}


def test_a_folder_without_the_data_is_a_usage_error(tmp_path: Path) -> None:
    for command in (
        ["towers", "check", "embedded-image", "--data-dir", str(tmp_path)],
        ["towers", "train", "video", "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert "captions_val2017.json is not there; point --data-dir at" in result.output
        assert not (tmp_path / "out").exists()
