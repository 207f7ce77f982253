"""Options that several commands share, and what is done with their values."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flows.interruption import resumes_with
from flows.overrides import data_overrides, overrides_of_file
from mase.errors import DataError, ParamsError

Profile = Annotated[str, typer.Option(help="Sizes, backbone, towers and data source: params/profiles/.")]
TaskProfile = Annotated[
    str | None,
    typer.Option(
        help="Sizes, backbone, towers and data source: params/profiles/.",
        show_default="demo; local for a YAML file",
    ),
]
Method = Annotated[
    str, typer.Option(help="Method, ablation or control: params/{methods,ablations,controls}/.")
]
Methods = Annotated[
    list[str], typer.Option("--method", help="Method, ablation or control; repeatable, later ones win.")
]
Backbone = Annotated[str | None, typer.Option(help="Replace the profile's backbone: params/backbones/.")]
Preset = Annotated[str | None, typer.Option(help="Replace the profile's preset: paper, sound or em.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one param; repeatable.")
]
ParamsFiles = Annotated[
    list[Path], typer.Option("--params", help="YAML file of overrides, as `mase tune` writes.")
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of the official data files; sets data.source to files.")
]
MaxTrainRows = Annotated[
    int | None, typer.Option(min=1, help="Train on at most so many rows, a seeded sample.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to the output stream.")]
Tasks = Annotated[str | None, typer.Option(help="Tasks, comma-separated; by default the table's.")]


def overrides(
    settings: Sequence[str],
    files: Sequence[Path] = (),
    data_dir: Path | None = None,
    max_train_rows: int | None = None,
) -> list[str]:
    """Return all overrides as `key=value`, later ones winning: files, options, --set.

    Raises:
        DataError: if the data folder does not exist.
        ParamsError: if a params file cannot be read.
    """
    result = [line for path in files for line in overrides_of_file(path)]
    result += data_overrides(data_dir)
    if max_train_rows is not None:
        result.append(f"data.max_train_rows={max_train_rows}")
    return [*result, *settings]


def comma_separated(text: str | None) -> tuple[str, ...] | None:
    """Split `a,b`; None stays None.

    Raises:
        ParamsError: if nothing is between two commas.
    """
    if text is None:
        return None
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise ParamsError(f"--tasks {text!r}: expected names separated by commas")
    return names


def resumes_with_same_command() -> None:
    """Note that running the same command again goes on where this one is stopped."""
    resumes_with(shlex.join(["mase", *sys.argv[1:]]))


def input_lines(file: Path | None) -> list[str]:
    """Return the lines of a file, or of the input stream if there is no file.

    Raises:
        DataError: if the file cannot be read as UTF-8.
    """
    try:
        raw = file.read_bytes() if file is not None else sys.stdin.buffer.read()
    except OSError as cause:
        raise DataError(f"{file}: {cause.strerror}") from cause
    try:
        lines = raw.decode("utf-8-sig").split("\n")  # splitlines() would also split at U+2028 and the like
    except UnicodeDecodeError as cause:
        line = raw[: cause.start].count(b"\n") + 1
        raise DataError(
            f"{file or 'input'}, line {line}: not UTF-8; convert it first, as with iconv"
        ) from cause
    return [line.removesuffix("\r") for line in (lines[:-1] if not lines[-1] else lines)]


def profile_of(task: str, profile: str | None) -> str:
    """Return the profile asked for; else `local` for a task file of one's own, `demo` for a shipped task."""
    return profile or ("local" if task.endswith((".yaml", ".yml")) else "demo")
