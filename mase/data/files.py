"""Rows from files: official ones as they were written, and a user's own.

Delimited files, JSON Lines and Parquet give the same records; a family's reader turns each into
an example. Texts are stripped of white space at both ends, a byte-order mark is skipped. The first
thing that is wrong ends the reading with one `DataError`: file, line, remedy.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mase.data.coco import read_coco
from mase.data.commongen import read_commongen
from mase.data.decoding import malformed
from mase.data.delimited import read_csv, read_tsv
from mase.data.examples import needed, optional, parse, rows_of
from mase.data.probes import read_vicomte
from mase.data.records import Record, RowError
from mase.data.rows import Rows
from mase.data.squad import read_squad
from mase.data.structured import read_jsonl, read_parquet
from mase.data.vqa import read_vqa
from mase.errors import DataError
from mase.params import FileColumns, FileSource, TaskParams
from mase.params.task import FileFormat

READERS: dict[FileFormat, Callable[[Path, Sequence[str]], Iterator[Record]]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "squad": read_squad,
    "vqa": read_vqa,
    "coco": read_coco,
    "vicomte": read_vicomte,
    "commongen": read_commongen,
}


def find_file(source: FileSource, directory: str | None, name: str) -> Path:
    """Return the path of one of a task's files.

    An absolute `source.folder` is taken as it is. Otherwise it is looked for in `directory`, which
    may be the folder of the data sets or one that contains it as `glue`, then beside the task's YAML.

    Raises:
        DataError: if the file is in none of these places, or none is known.
    """
    folder = Path(source.folder).expanduser()
    roots = [] if directory is None else [Path(directory).expanduser(), Path(directory).expanduser() / "glue"]
    roots += [] if source.beside is None else [Path(source.beside)]
    places = [folder / name] if folder.is_absolute() else [root / folder / name for root in roots]
    if not places:
        raise DataError("data.source is files, but data.dir is not set; pass --data-dir")
    for place in places:
        if place.is_file():
            return place
    near = difflib.get_close_matches(name, [path.name for p in places for path in p.parent.glob("*")], n=1)
    hint = f" (there is {near[0]!r})" if near else ""
    looked = " and ".join(str(place) for place in places)
    remedy = f"point --data-dir (data.dir) at the folder that contains {source.folder}/"
    if source.located:
        remedy = "correct folder, train or dev under files: in the task's YAML"
    raise DataError(f"{name} not found{hint}: looked for {looked}; {remedy}")


def read_split(task: TaskParams, directory: str | None, split: str) -> tuple[Rows, Path]:
    """Read the "train" or "dev" file of a task; return its rows and its path.

    Raises:
        DataError: if the file is missing or malformed, or the task has no such file.
    """
    source = task.files
    if source is None:
        raise DataError(f"task {task.name} has no official files; choose another data.source")
    name = source.train if split == "train" else source.dev
    if name is None:
        raise DataError(
            f"task {task.name} has no development file: `prepare` takes a share of {source.train}"
        )
    path = find_file(source, directory, name)
    answers = source.train_annotations if split == "train" else source.dev_annotations
    rows = read_file(
        path,
        task,
        source.columns_of(name),
        prefix=split,
        file_format=source.format_of(name),
        keep_empty=source.empty_texts == "keep",
        annotations=None if answers is None else find_file(source, directory, answers),
    )
    return rows, path


def read_file(
    path: Path,
    task: TaskParams,
    columns: FileColumns,
    *,
    prefix: str = "row",
    file_format: FileFormat = "tsv",
    keep_empty: bool = False,
    annotations: Path | None = None,
) -> Rows:
    """Read one file; a row's id is `prefix` and its line, or the row's number in a Parquet file.

    Args:
        keep_empty: take rows without text as they are.
        annotations: of format vqa, the file of the answers; None: by the official naming.

    Raises:
        DataError: if the file is missing, empty, not UTF-8 or not of its format, lacks a column, or
            has a record that is cut short, has no text, or a label that the task does not know.
    """
    ids, examples = [], []
    reader = READERS[file_format] if annotations is None else partial(read_vqa, annotations=annotations)
    if file_format == "parquet":
        reader = partial(read_parquet, optional=optional(task))
    for number, fields in reader(path, needed(task, columns)):
        try:
            examples.append(parse(task, columns, fields, keep_empty=keep_empty))
        except RowError as cause:
            remedy = cause.remedy or f"correct column {columns.label!r} or delete the line"
            if file_format == "parquet":
                raise DataError(f"{path}: row {number}: {cause}; {remedy}") from cause
            raise malformed(path, number, str(cause), remedy) from cause
        ids.append(f"{prefix}-{number}")
    return rows_of(task, ids, examples)
