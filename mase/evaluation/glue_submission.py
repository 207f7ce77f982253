"""GLUE's test files, whose labels nobody has, and the files that its server takes.

One file per task, named and laid out as the server wants it: a header, then a line per test example
in the test file's order, `index` from the test file (`id` in QQP) and the prediction: a class as the
training files write it, or a similarity between 0 and 5 with three decimals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mase.artifacts import write_atomically
from mase.data.decoding import malformed
from mase.data.delimited import read_tsv
from mase.data.records import RowError, sentences
from mase.errors import DataError, ParamsError
from mase.params import FileColumns, TaskParams

INDEX = ("index", "id")  # the first column of a test file, by its name
AT_ONCE = 4096  # rows predicted together: bounds the memory for QQP's 390,965


@dataclass(frozen=True)
class Submission:
    """One of the server's files: its name, the test file, and how many examples that has officially."""

    name: str
    test: str
    rows: int


SUBMISSIONS: dict[str, tuple[Submission, ...]] = {
    "sst2": (Submission("SST-2.tsv", "test.tsv", 1821),),
    "mrpc": (Submission("MRPC.tsv", "test.tsv", 1725),),
    "stsb": (Submission("STS-B.tsv", "test.tsv", 1379),),
    "qqp": (Submission("QQP.tsv", "test.tsv", 390_965),),
    "qnli": (Submission("QNLI.tsv", "test.tsv", 5463),),
    "mnli": (
        Submission("MNLI-m.tsv", "test_matched.tsv", 9796),
        Submission("MNLI-mm.tsv", "test_mismatched.tsv", 9847),
    ),
}
SUBMISSIONS["mnli_mm"] = SUBMISSIONS["mnli"]

Answer = Callable[[list[str], list[str] | None], Sequence[str | float]]


@dataclass(frozen=True)
class UnlabelledRows:
    """The rows of a test file: what the server calls them, and their texts."""

    index: tuple[str, ...]
    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...] | None


def submissions_of(task: TaskParams) -> tuple[Submission, ...]:
    """Return the files that a task's model fills.

    Raises:
        ParamsError: if the task is none of GLUE's.
    """
    if task.name not in SUBMISSIONS:
        raise ParamsError(
            f"{task.name} is not a GLUE task with a test server; there is: {', '.join(SUBMISSIONS)}"
        )
    return SUBMISSIONS[task.name]


def read_test_file(path: Path, columns: FileColumns) -> UnlabelledRows:
    """Read a GLUE test file; labels are not looked for.

    Raises:
        DataError: if it is malformed, or has no `index` (or `id`) that names every row once.
    """
    wanted = [name for name in (columns.text_a, columns.text_b) if name is not None]
    index, first, second = [], [], []
    for line, fields in read_tsv(path, wanted):
        column = next((name for name in INDEX if name in fields), None)
        if column is None:
            raise malformed(
                path, 1, "no column 'index' or 'id'", "give the official test file, not the dev file"
            )
        try:
            texts_a, texts_b = sentences(columns.text_a, columns.text_b, fields, keep_empty=True)
        except RowError as cause:
            raise malformed(path, line, str(cause), cause.remedy or "fetch the file again") from cause
        index.append(fields[column])
        first += texts_a
        second += texts_b or ()
    if len(set(index)) < len(index):
        raise DataError(f"{path}: a number stands twice in its first column; fetch the file again")
    return UnlabelledRows(tuple(index), tuple(first), tuple(second) if columns.text_b is not None else None)


def write_submission(path: Path, task: TaskParams, test: UnlabelledRows, answer: Answer) -> None:
    """Predict a test file and write what the server takes.

    Args:
        answer: gives a label's name, or a score, for each text or pair.
    """
    lines = [f"{index}\t{said}" for index, said in zip(test.index, _said(task, test, answer), strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "\n".join(["index\tprediction", *lines]) + "\n")


def _said(task: TaskParams, test: UnlabelledRows, answer: Answer) -> Iterator[str]:
    for start in range(0, len(test.index), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        second = None if test.texts_b is None else list(test.texts_b[part])
        for found in answer(list(test.texts_a[part]), second):
            yield found if isinstance(found, str) else f"{found:.3f}"


def size_note(submission: Submission, rows: int) -> str | None:
    """Return a warning where a test file is not the official one; the server refuses other sizes."""
    if rows == submission.rows:
        return None
    return (
        f"{submission.test} has {rows} rows, the official one {submission.rows}: the server will refuse this"
    )
