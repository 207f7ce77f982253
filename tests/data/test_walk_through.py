"""The README's "Your own data": its files are read as it says, and its error is the one that is printed."""

import re
from pathlib import Path

import pytest

from mase.data import prepare
from mase.data.files import read_split
from mase.errors import DataError
from mase.params import DataParams, TaskParams, read_yaml, validate
from mase.params.task import beside

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks() -> dict[str, str]:
    """Return the fenced blocks of the section, by language."""
    section = README.read_text(encoding="utf-8").partition("## Your own data\n")[2].partition("\n## ")[0]
    assert section, "the README has no section 'Your own data'"
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE))


def write(folder: Path, csv: str) -> TaskParams:
    (folder / "reviews.csv").write_text(csv, encoding="utf-8")
    path = folder / "reviews.yaml"
    path.write_text(blocks()["yaml"], encoding="utf-8")
    return validate(TaskParams, beside(read_yaml(path), path), str(path))


def test_the_files_of_the_walk_through_are_a_task(tmp_path: Path) -> None:
    task = write(tmp_path, blocks()["csv"])
    rows, _ = read_split(task, None, "train")
    assert rows.texts_a[:2] == ("Cosy, quiet, and the soup is hot.", 'The waiter said "one minute" and left.')
    assert "A garden behind the house,\nand fresh bread." in rows.texts_a
    assert [task.labels[label] for label in rows.labels[:3]] == ["good", "bad", "bad"]
    prepared = prepare(task, DataParams(source="files"))
    assert len(prepared.evaluation) == round(0.2 * len(rows))
    assert min(prepared.counts[part] for part in ("train", "slice")) >= 1


def test_the_error_of_the_walk_through_is_the_one_that_is_printed(tmp_path: Path) -> None:
    task = write(tmp_path, blocks()["csv"].replace("Cold soup.,bad", "Cold soup.,baad"))
    with pytest.raises(DataError) as caught:
        read_split(task, None, "train")
    assert str(caught.value) == f"{tmp_path}/{blocks()['text'].strip()}"


def test_the_commands_of_the_walk_through_name_its_files() -> None:
    commands = blocks()["sh"].splitlines()
    assert commands[0].startswith("mase train reviews.yaml ")
    assert commands[1].startswith("mase predict ")
