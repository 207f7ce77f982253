"""Test submissions of a kept model: reads the official test files, predicts, writes."""

from dataclasses import dataclass
from pathlib import Path

from mase.data.files import find_file
from mase.errors import DataError, ParamsError
from mase.evaluation.glue_submission import read_test_file, size_note, submissions_of, write_submission
from mase.prediction import Predictor


@dataclass(frozen=True)
class Written:
    """A file for the server, how many examples it answers, and what is wrong with that number."""

    path: Path
    rows: int
    note: str | None


def submit_unit(folder: Path, out: Path, data_dir: str | None = None) -> list[Written]:
    """Write the submission of a unit's kept model; every test file is read before anything is predicted.

    Args:
        folder: the unit's, or a model's.
        out: where the files go; one of the same name is replaced.
        data_dir: folder of the official files; None: the one that the unit was trained with.

    Raises:
        MissingWeightsError: if the unit keeps no model.
        ParamsError: if its task is none of GLUE's.
        DataError: if a test file is missing or malformed.
    """
    predictor = Predictor.load(folder)
    task, source = predictor.params.task, predictor.params.task.files
    if source is None:
        raise ParamsError(f"task {task.name} has no official files")
    where = data_dir or predictor.params.data.dir
    if where is None and not source.located:
        raise DataError("the unit was not trained on files, so say where the test files are; pass --data-dir")
    wanted = submissions_of(task)
    tests = [read_test_file(find_file(source, where, one.test), source.columns) for one in wanted]
    found = []
    for submission, test in zip(wanted, tests, strict=True):
        path = out / submission.name
        write_submission(
            path, task, test, lambda first, second: [said.label for said in predictor.predict(first, second)]
        )
        found.append(Written(path, len(test.index), size_note(submission, len(test.index))))
    return found
