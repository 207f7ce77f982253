"""docs/tables.md says for each data set what to have and where: it must say what the params say."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from mase.data.vqa import annotations_beside
from mase.evaluation.declaration import load_table
from mase.evaluation.metrics import metric_named
from mase.params import TaskParams, available, load_params

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
TABLES = ("1", "2", "3", "table3-low", "4", "table4-supervised", "5", "6")


class Entry(NamedTuple):
    """A row of the page: a task, its files below the data folder, and the metric in words."""

    task: str
    files: frozenset[str]
    metric: str


def entries() -> list[Entry]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        task = re.fullmatch(r"`(\w+)`", cells[1]) if len(cells) >= 4 else None
        files = frozenset(re.findall(r"`([^`]*/[^`]*)`", cells[2])) if task else None
        if task and files:
            found.append(Entry(task[1], files, cells[3]))
    return found


def task_named(name: str) -> TaskParams:
    return load_params(name, profile="local", overrides=["data.dir=x"]).task


def files_of(task: TaskParams) -> set[str]:
    """Return what the run of a task reads below the data folder."""
    source = task.files
    assert source is not None
    named = {Path(source.folder) / name for name in (source.train, source.dev) if name is not None}
    if source.format == "vqa":
        named |= {annotations_beside(path) for path in named}
    if source.format == "commongen":
        named |= {Path(source.folder) / source.train.replace("src_alpha", "tgt")}
    if task.vqa is not None:
        named |= {Path(source.folder) / name for name in task.vqa.regions}
    return {path.as_posix() for path in named}


def test_the_thirteen_data_sets_of_the_paper_are_there_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [entry.task for entry in entries()]
    first = page[page.index("## The 13 data sets") : page.index("Beside these")]
    assert len(set(names)) == len(names)
    assert sum(f"| `{name}` |" in first for name in names) == 13
    assert set(names) <= set(available("tasks"))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.task)
def test_the_page_names_the_files_that_a_task_reads(entry: Entry) -> None:
    expected = files_of(task_named(entry.task))
    if entry.task == "vqa_v2_regions":
        expected -= files_of(task_named("vqa_v2"))
    assert entry.files == expected


def test_every_task_of_a_table_is_on_the_page_and_has_a_metric() -> None:
    on_page = {entry.task for entry in entries()}
    for name in TABLES:
        table = load_table(name)
        assert set(table.tasks) <= on_page
        columns = {*table.columns, *(c for names in table.averaged.values() for c in names)}
        for column in columns:
            name, _, metric = column.partition(":")
            task = task_named(name)
            assert metric_named(task, metric or task.main_metric)


def test_every_table_has_placebos_and_says_where_its_numbers_are_not_published() -> None:
    for name in TABLES:
        table = load_table(name)
        assert [row.label for row in table.rows if row.placebo] == ["Random towers", "Shuffled proxies"]
        quotes = any(row.paper for row in table.rows)
        assert quotes or any("not published here" in n or "Not in the paper" in n for n in table.footnotes)


@pytest.mark.parametrize("name", ["memory_color", "squad_v2", "commongen", "vqa_v2", "color_terms"])
def test_the_files_are_there_in_the_shared_data(shared_data: Path, name: str) -> None:
    (entry,) = [entry for entry in entries() if entry.task == name]
    assert [file for file in entry.files if not (shared_data / file).is_file()] == []
