"""From a task and the data params to the rows of a run: the split recipe in one place.

    training file ── [no development file: files.dev_share of it becomes the development rows]
                  └─ internal_test (kept aside, never tuned on)
                     └─ [evaluate_on: tune] tune share (what a study is scored on)
                        └─ fraction of it, at most max_train_rows ── information slice
                                                                  └─ training rows
    development file ── at most max_eval_rows (evaluate_on: dev)

With `folds` the fold that `fold` names takes the place of internal_test and of the development rows:

    training file ── folds of groups ─┬─ fold i: the evaluation rows
                                      └─ the others: as above, from tune on

Every draw comes from `data.split_seed`, never from the run's seed, so that all rows of a
table train on the same rows and are scored on the same rows.
"""

from dataclasses import dataclass

import numpy as np

from mase import seeds
from mase.artifacts import digest_of
from mase.data import embedded, files, generation, hub, vqa_splits
from mase.data.rows import Rows, together
from mase.data.splits import sample, separate
from mase.errors import ParamsError
from mase.params import DataParams, FileSource, TaskParams

VERSION = 1  # of the recipe; raise it when the same params give other rows


@dataclass(frozen=True)
class TaskData:
    """The rows of one task, split.

    Attributes:
        train: rows for the M-step.
        slice: rows for the E-step's information; never trained on, never scored on.
        evaluation: what `DataParams.evaluate_on` asks for.
        digest: identifies all of the above, and the labels' names. Which rows of the file a
            low-resource run keeps is in it and in `train.ids` and `slice.ids`: the file's line numbers.
        counts: rows per part, and of the training file (less what became development rows).
        source: where the rows come from, for people.
    """

    train: Rows
    slice: Rows
    evaluation: Rows
    digest: str
    counts: dict[str, int]
    source: str


def prepare(task: TaskParams, data: DataParams) -> TaskData:
    """Read a task's rows and split them; the same params always give the same rows.

    With `evaluate_on` "internal_test" or "tune", or with `folds`, the development file is not opened; with
    "dev_and_internal_test" the ids of the evaluation rows begin with the part's name.
    `max_eval_rows` caps the evaluation rows whichever they are. Samples are nested: those of a
    smaller `fraction` or `max_train_rows` are among those of a larger one.

    Raises:
        DataError: if a source is missing or malformed.
        ParamsError: if the shares leave a part without rows.
    """
    whole, source = read(task, data, "train")
    if task.family == "generation":
        whole = generation.one_sentence_each(whole)
    if data.folds is not None:
        rest, internal_test = _fold(whole, data.folds, data)
    else:
        rest, internal_test = _aside(whole, round(data.internal_test * len(whole)), data, "internal_test")
    tune = None
    if data.evaluate_on == "tune":
        rest, tune = _aside(rest, round(data.tune_share * len(rest)), data, "tune")
    capped = _subset(rest, data)
    train, information = _aside(capped, slice_size(len(capped), data), data, "slice")
    evaluation = internal_test if tune is None else tune
    if data.evaluate_on in ("dev", "dev_and_internal_test") and data.folds is None:
        dev, _ = read(task, data, "dev")
        evaluation = dev if data.evaluate_on == "dev" else together({"dev": dev, "internal_test": evaluation})
    if task.family == "generation":
        evaluation = generation.merged(evaluation)
    evaluation = sample(evaluation, data.max_eval_rows, _generator(data, "max_eval_rows"))
    parts = {"train": train, "slice": information, "evaluation": evaluation}
    _refuse_empty(parts, task, data, len(whole))
    counts = {name: len(rows) for name, rows in parts.items()}
    return TaskData(
        **parts,
        digest=digest_of([VERSION, list(task.labels), {name: rows.digest() for name, rows in parts.items()}]),
        counts={**counts, "internal_test": len(internal_test), "train_file": len(whole)},
        source=source,
    )


def read(task: TaskParams, data: DataParams, split: str) -> tuple[Rows, str]:
    """Read the "train" or "dev" rows of a task from the source that `data` names.

    Raises:
        DataError: if the source is missing or malformed, or the task does not have it.
    """
    if data.source == "files":
        if task.files is not None and task.files.dev is None and data.folds is None:
            return _read_divided(task.files, task, data, split)
        if vqa_splits.divides(task):
            return vqa_splits.read_divided(task, data, split)
        rows, path = files.read_split(task, data.dir, split)
        return rows, f"files:{path}"
    if data.source == "hub":
        return hub.read_split(task, split)
    train, dev = embedded.generate(task)
    return train if split == "train" else dev, f"embedded:{task.embedded}"


def _read_divided(source: FileSource, task: TaskParams, data: DataParams, split: str) -> tuple[Rows, str]:
    """Read one file and return its training rows, or the share that serves as development rows."""
    whole, path = files.read_split(task, data.dir, "train")
    train, dev = _aside(whole, max(1, round(source.dev_share * len(whole))), data, "dev")
    return train if split == "train" else dev, f"files:{path}"


def _subset(rows: Rows, data: DataParams) -> Rows:
    """Return the rows that `fraction` and `max_train_rows` leave, whichever leaves fewer."""
    limits = [] if data.fraction is None else [round(data.fraction * len(rows))]
    limits += [] if data.max_train_rows is None else [data.max_train_rows]
    size = min(limits, default=None)
    if data.subset == "head":
        return rows.take(range(len(rows))[:size])
    return sample(rows, size, _generator(data, "max_train_rows"))


def slice_size(rows: int, data: DataParams) -> int:
    """Return the size of the information slice of `rows` training rows.

    A share of them, at least `slice_min`, at most `slice_max`, and never more than half.
    """
    return min(max(round(data.slice_share * rows), data.slice_min), data.slice_max, rows // 2)


def _aside(rows: Rows, size: int, data: DataParams, name: str) -> tuple[Rows, Rows]:
    """Return (left, taken)."""
    taken, left = separate(rows, size, _generator(data, name))
    return rows.take(left), rows.take(taken)


def _fold(rows: Rows, folds: int, data: DataParams) -> tuple[Rows, Rows]:
    """Return (the other folds, fold `data.fold`); each fold is cut from what the ones before it left."""
    fold, left = np.arange(0), np.arange(len(rows))
    for number in range(data.fold + 1):
        size = round(len(left) / (folds - number))
        taken, kept = separate(rows.take(left), size, _generator(data, f"fold/{number}"))
        fold, left = left[taken], left[kept]
    others = np.setdiff1d(np.arange(len(rows)), fold)
    return rows.take(others), rows.take(fold)


def _generator(data: DataParams, name: str) -> np.random.Generator:
    return seeds.numpy_generator(data.split_seed, f"data/{name}")


def _refuse_empty(parts: dict[str, Rows], task: TaskParams, data: DataParams, rows: int) -> None:
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise ParamsError(
            f"task {task.name}: no rows left for {', '.join(empty)} of {rows} in the training file; change "
            f"data.internal_test ({data.internal_test:g}), data.tune_share ({data.tune_share:g}), "
            f"data.fraction ({data.fraction}) or data.max_train_rows ({data.max_train_rows})"
        )
