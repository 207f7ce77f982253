"""Data sets from the Hugging Face hub, pinned to one revision.

`datasets` is imported only when a task is read from the hub. What it has downloaded once it
finds again without a network.
"""

from typing import TYPE_CHECKING, Any

from mase.data.examples import needed, optional, parse, rows_of
from mase.data.records import RowError
from mase.data.rows import Rows
from mase.errors import DataError
from mase.params import HubSource, TaskParams

if TYPE_CHECKING:
    import datasets

REMEDY = (
    "use the official files instead (--data-dir, data.source: files), or run this once with a network "
    "so that the data set is in the cache ($HF_HOME)"
)


def read_split(task: TaskParams, split: str) -> tuple[Rows, str]:
    """Read the "train" or "dev" split of a task; return its rows and where they come from.

    Raises:
        DataError: if the hub cannot be reached, the data set, revision, split or a column is
            not there, or a label is none of the task's.
    """
    source = task.hub
    if source is None:
        raise DataError(f"task {task.name} is not on the hub; choose another data.source")
    name = source.train if split == "train" else source.dev
    return from_dataset(load(source, name), task, source, prefix=split), describe(source, name)


def describe(source: HubSource, split: str) -> str:
    """Return the name of a split of a data set, with its revision."""
    parts = [source.path, *([source.name] if source.name else []), split]
    return f"hub:{'/'.join(parts)}@{source.revision}"


def load(source: HubSource, split: str) -> "datasets.Dataset":
    """Load one split of a data set: from the cache, or else from the hub.

    Raises:
        DataError: if that is impossible, with the cause and what to do instead.
    """
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    where = describe(source, split)
    try:
        return datasets.load_dataset(source.path, source.name, revision=source.revision, split=split)
    except DatasetNotFoundError as cause:
        raise DataError(f"{where}: no such data set or revision ({cause}); correct task.hub") from cause
    except ConnectionError as cause:
        raise DataError(f"{where}: the hub cannot be reached ({cause}); {REMEDY}") from cause
    except (ValueError, OSError) as cause:  # an unknown configuration or split, a broken cache
        raise DataError(f"{where}: cannot be loaded ({cause}); correct task.hub, or {REMEDY}") from cause


def from_dataset(
    dataset: "datasets.Dataset", task: TaskParams, source: HubSource, *, prefix: str = "row"
) -> Rows:
    """Turn a loaded split into rows; a row's id is `prefix` and its position, or a question's own.

    Raises:
        DataError: if a column is missing, or a row has no text or a label that the task does
            not know.
    """
    columns = source.columns
    wanted = [name.split(".")[0] for name in needed(task, columns)]  # dots lead into nested fields
    wanted += [name for name in optional(task) if name in dataset.column_names]
    missing = [name for name in wanted if name not in dataset.column_names]
    if missing:
        raise DataError(
            f"{source.path}: no column {', '.join(map(repr, missing))}; "
            f"the data set has {', '.join(map(repr, dataset.column_names))}; correct task.hub.columns"
        )
    if not len(dataset):
        raise DataError(f"{source.path}: the split has no rows; correct task.hub")
    values = {name: list(dataset[name]) for name in wanted}
    if columns.label in values:
        names = _class_names(dataset.features[columns.label], task)
        values[columns.label] = [_label_text(found, names) for found in values[columns.label]]
    examples = []
    for position in range(len(dataset)):
        fields = {name: column[position] for name, column in values.items()}
        try:
            examples.append(parse(task, columns, fields, keep_empty=True))
        except RowError as cause:
            remedy = "correct task.labels or task.hub"
            raise DataError(f"{source.path}: row {position}: {cause}; {cause.remedy or remedy}") from cause
    return rows_of(task, [f"{prefix}-{position}" for position in range(len(dataset))], examples)


def _class_names(feature: Any, task: TaskParams) -> list[str] | None:
    """Return the names of a column of class ids, unless the task itself calls its classes 0, 1, ..."""
    if not hasattr(feature, "names"):  # not a ClassLabel
        return None
    numbered = list(task.labels) == [str(number) for number in range(len(task.labels))]
    return None if numbered and len(feature.names) == len(task.labels) else list(feature.names)


def _label_text(value: object, names: list[str] | None) -> object:
    """Return the name of a class id, anything else as it is."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else value
