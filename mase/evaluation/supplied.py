"""A row of a table from predictions that a user has of someone else's system: official VQA results.

A file lists `{"question_id": ..., "answer": ...}`, as the official evaluation reads it; it is scored with the
official accuracy on the rows that every other row of the table is scored on. Questions that are not
among these are left aside, one that is missing is refused: the official script refuses it too.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mase.artifacts import sha256_file
from mase.errors import DataError, ParamsError
from mase.params import Params


@dataclass(frozen=True)
class Supplied:
    """Where a cell's predictions are, and the params that say which rows and metrics they are of."""

    params: Params
    path: Path

    @property
    def digest(self) -> str:
        """Return what tells this file from others."""
        return sha256_file(self.path)[:20]

    def frame(self) -> pd.DataFrame:
        """Return the predictions as a unit of the task would have written them, without a confidence.

        Raises:
            ParamsError: if the task is not one of visual question answering.
            DataError: if the task's data or the file is missing or malformed, or a question has no answer.
        """
        from mase.evaluation.metrics.vqa import accuracies
        from mase.families import Answered, family_of
        from mase.identity import task_data

        task = self.params.task
        if task.family != "vqa":
            raise ParamsError(
                f"{self.path}: predictions are taken for vqa tasks; {task.name} is {task.family}"
            )
        data, family = task_data(task, self.params.data), family_of(task)
        rows, said = data.evaluation, read_results(self.path)
        missing = [name for name in rows.ids if name not in said]
        if missing:
            raise DataError(
                f"{self.path} answers {len(rows) - len(missing)} of {len(rows)} questions of {task.name}; "
                f"the first without an answer is {missing[0]}"
            )
        texts = [said[name] for name in rows.ids]
        nothing = {"answer": np.zeros(len(rows), np.int64), "confidence": np.zeros(len(rows))}
        labels = family.vocabulary(task, data.train)
        frame = family.frame(task, Answered(rows, rows, nothing, labels=labels))
        found = accuracies(texts, rows.references or ())
        return frame.drop(columns="confidence").assign(prediction=texts, vqa_accuracy=found)


def read_results(path: Path) -> dict[str, str]:
    """Return the answer to each question of a results file, by question id.

    Raises:
        DataError: if the file is missing or malformed, or answers a question twice.
    """
    try:
        listed: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as cause:
        raise DataError(f"{path}: no readable VQA results: {cause}") from cause
    if not isinstance(listed, list) or not listed:
        raise DataError(f'{path}: expected a list of {{"question_id": ..., "answer": ...}}')
    found: dict[str, str] = {}
    for number, each in enumerate(listed, start=1):
        name, answer = (
            (each.get(k) for k in ("question_id", "answer")) if isinstance(each, dict) else (None, None)
        )
        if isinstance(name, bool) or not isinstance(name, int | str) or not isinstance(answer, str):
            raise DataError(f"{path}: result {number} has no question_id or no answer in words; correct it")
        if str(name) in found:
            raise DataError(f"{path}: question {name} is answered twice; delete one of the answers")
        found[str(name)] = answer
    return found
