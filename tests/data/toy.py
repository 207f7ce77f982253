"""Tasks over files that a test writes: yes or no below a data folder, and reviews beside their YAML."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mase.data import TaskData, prepare
from mase.params import DataParams, TaskParams, validate
from mase.params.task import beside


def content(name: str, labels: tuple[str, ...], /, **fields: Any) -> dict[str, Any]:
    """Return what a task file of classification says, with `fields` in place of that or beside it."""
    return {
        "name": name,
        "title": name.title(),
        "family": "classification",
        "labels": labels,
        "metrics": ["accuracy"],
        "main_metric": "accuracy",
        **fields,
    }


FILES = {
    "folder": "Toy",
    "train": "train.tsv",
    "dev": "dev.tsv",
    "columns": {"text_a": "text", "label": "label"},
}
TASK = TaskParams.model_validate(content("toy", ("no", "yes"), files=FILES))


def write(folder: Path, name: str, count: int, *, step: int = 1) -> None:
    """Write one of the toy task's files, one row in four of them "yes"."""
    (folder / "Toy").mkdir(exist_ok=True)
    numbers = range(count)[::step]
    lines = [f"{name} {i}\t{'yes' if i % 4 == 0 else 'no'}" for i in numbers]
    (folder / "Toy" / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")


def run(folder: Path, **changes: object) -> TaskData:
    """Prepare the toy task."""
    return prepare(TASK, DataParams.model_validate({"source": "files", "dir": str(folder), **changes}))


def own_task(
    folder: Path, train: str, /, task: Mapping[str, Any] = MappingProxyType({}), **files: Any
) -> TaskParams:
    """Return a task whose YAML is in `folder`: reviews that are good or bad, with changes to it."""
    source = {"train": train, "columns": {"text_a": "review", "label": "stars"}, **files}
    written = content("reviews", ("bad", "good"), **{"files": source, **task})
    return validate(TaskParams, beside(written, folder / "reviews.yaml"), "reviews.yaml")
