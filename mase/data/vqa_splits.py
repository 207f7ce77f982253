"""VQA as ViLBERT and ConceptBert were trained: on train and most of val, scored on the rest, or on all of it.

    official      train on train, score on val
    minval        train on train and val without its last `minval` questions (3,000 there), score on these
    contaminated  train on the same, score on the whole of val: most of it was trained on. ConceptBert's
                  repository reports such a number (80.99); no table should show one beside official rows

Questions are in the order of their ids, as they are there. Pictures are not kept apart: one can have
questions on both sides of the cut, which `minval` inherits.
"""

import logging

import numpy as np

from mase.data import files
from mase.data.rows import Rows, joined
from mase.errors import DataError
from mase.params import DataParams, TaskParams

log = logging.getLogger(__name__)


def divides(task: TaskParams) -> bool:
    """Return whether a task asks for another split than the official one."""
    return task.vqa is not None and task.vqa.split != "official"


def read_divided(task: TaskParams, data: DataParams, split: str) -> tuple[Rows, str]:
    """Return the "train" or "dev" rows of `minval` or `contaminated` and where they are from, with a warning.

    Raises:
        DataError: if a file is missing or malformed, val has no more than `minval` questions, or a
            question is in both files.
    """
    assert task.vqa is not None
    val, path = files.read_split(task, data.dir, "dev")
    count = task.vqa.minval
    if len(val) <= count:
        raise DataError(
            f"task {task.name}: task.vqa.split is {task.vqa.split} and takes the last {count} questions of "
            f"val aside, which has {len(val)}; lower task.vqa.minval"
        )
    ordered = val.take(sorted(range(len(val)), key=lambda row: _number(val.ids[row])))
    learned, aside = (ordered.take(part) for part in np.split(np.arange(len(val)), [-count]))
    if split == "train":
        train, path = files.read_split(task, data.dir, "train")
        twice = sorted(set(train.ids) & set(learned.ids))
        if twice:
            raise DataError(f"question {twice[0]} is in the training file and in val; take official files")
        return joined([train, learned]), f"files:{path} and {len(learned)} questions of val"
    if task.vqa.split == "contaminated":
        log.warning(
            "%s: CONTAMINATED: %d of the %d questions that it is scored on are trained on (task.vqa.split); "
            "the number says nothing about new questions, and compares with ConceptBert's published one only",
            task.name, len(learned), len(val),
        )  # fmt: skip
        return val, f"files:{path}"
    log.warning(
        "%s: scored on the last %d questions of val alone, the others are trained on (task.vqa.split); it "
        "does not compare with rows on the whole of val",
        task.name, count,
    )  # fmt: skip
    return aside, f"files:{path}, its last {count} questions"


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (0, name)
