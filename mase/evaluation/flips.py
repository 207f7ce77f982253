"""Which examples change between two rows of a table, or two units: from wrong to right, and back.

A mean difference hides what happens below it: two models of equal accuracy may disagree on a third
of the examples. Differences are second minus first: what changes on going from the one to the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float

from mase.errors import DataError, ParamsError
from mase.evaluation.contrasts import Contrasts
from mase.evaluation.declaration import task_of
from mase.evaluation.evidence import Evidence, Load, gather
from mase.evaluation.metrics import metric_named
from mase.evaluation.plan import Cell
from mase.evaluation.significance import Comparison
from mase.evaluation.slices import Slice, slices_of
from mase.identity import task_data
from mase.params import TaskParams
from mase.units import Unit, load_result

FIRST, SECOND = "first", "second"
NEAR = 0.1  # a predicted score is right within this share of the range of labels


@dataclass(frozen=True)
class Example:
    """What an evaluation example says, for a reader.

    Attributes:
        label: the gold label's name, or the score.
        stratum: its kind, where the task has kinds.
    """

    texts: tuple[str, ...]
    label: str
    stratum: str = ""


@dataclass(frozen=True)
class Flip:
    """An example that is right with one model and wrong with the other.

    Attributes:
        first, second: its mean score over the seeds of each; of regression, minus the absolute error.
    """

    id: str
    example: Example
    first: float
    second: float


@dataclass(frozen=True)
class Flips:
    """How two rows differ on one task.

    Attributes:
        metric: the task's metric; `comparison` is of it, second minus first.
        score: what an example's score is, of which flips and slices are made.
        to_right, to_wrong: examples that change, the largest changes first.
        both_right, both_wrong, undecided: how many do not; undecided: half of the seeds are right.
    """

    column: str
    metric: str
    comparison: Comparison
    score: str
    examples: int
    seeds: tuple[int, int]
    to_right: tuple[Flip, ...]
    to_wrong: tuple[Flip, ...]
    both_right: int
    both_wrong: int
    undecided: int
    slices: tuple[Slice, ...]


def compare_cells(first: Cell, second: Cell, load: Load = load_result) -> Flips:
    """Compare two cells of one column, from whatever of their units is done.

    Raises:
        DataError: if one has no finished unit, they were evaluated on other examples, or the evaluation
            rows are no longer there.
        ParamsError: if they are of different tasks, or no metric of the task is a mean over examples.
    """
    if task_of(first.column) != task_of(second.column):
        raise ParamsError(f"{first.row} is of task {first.column}, {second.row} of {second.column}")
    evidence = {FIRST: _evidence(first, load), SECOND: _evidence(second, load)}
    contrasts = Contrasts(first.column, evidence)
    if not contrasts.comparable(SECOND, FIRST):
        raise DataError(f"{first.row} and {second.row} were evaluated on other examples")
    examples = examples_of([*first.units, *second.units])
    name, scores = _example_scores(first, second, evidence, load)
    known = [examples[i] for i in evidence[FIRST].ids if i in examples]
    if len(known) < len(evidence[FIRST].ids):
        raise DataError(f"{first.column}: the evaluation rows are not those that the units were scored on")
    return _flips(contrasts, known, name, *scores)


def _evidence(cell: Cell, load: Load) -> Evidence:
    found = gather(cell, load)
    if isinstance(found, str):
        raise DataError(f"{cell.row} on {cell.column}: {found}; `mase reproduce` trains the units of a table")
    return found


def examples_of(units: Sequence[Unit]) -> dict[str, Example]:
    """Return id -> example over the evaluation rows of units (of several folds, of all).

    Raises:
        DataError: if the rows are no longer there.
    """
    distinct = {unit.params.data.model_dump_json(): unit for unit in units}
    return dict(chain.from_iterable(_examples(unit) for unit in distinct.values()))


def _examples(unit: Unit) -> list[tuple[str, Example]]:
    task = unit.params.task
    rows = task_data(task, unit.params.data).evaluation
    strata = rows.strata if rows.strata is not None else ("",) * len(rows)
    labels = [_label_name(task, label) for label in rows.labels]
    parts = zip(rows.ids, rows.pairs(), labels, strata, strict=True)
    return [(name, Example(texts, label, stratum)) for name, texts, label, stratum in parts]


def _label_name(task: TaskParams, label: np.ndarray | float) -> str:
    """Return the name of a class, a score, or nothing where a label says little by itself."""
    value = np.asarray(label)
    if value.ndim or not task.labels:
        return f"{float(value):g}" if not value.ndim and task.family == "regression" else ""
    return str(task.labels[int(value)])


def _example_scores(
    first: Cell, second: Cell, evidence: Mapping[str, Evidence], load: Load
) -> tuple[str, tuple[np.ndarray, np.ndarray]]:
    """Return what scores an example, and each cell's scores (S, n)."""
    task = evidence[FIRST].task
    if task.family == "regression":
        return "minus the absolute error", (_errors(evidence[FIRST]), _errors(evidence[SECOND]))
    for name in dict.fromkeys((evidence[FIRST].metric.name, *task.metrics)):
        metric = metric_named(task, name)
        if metric.per_example is not None and metric.unavailable is None:
            found = [evidence[FIRST], evidence[SECOND]]
            if name != evidence[FIRST].metric.name:
                column = f"{task_of(first.column)}:{name}"
                found = [_evidence(replace(cell, column=column), load) for cell in (first, second)]
            a, b = (metric.per_example(e.labels, e.predictions).astype(np.float64) for e in found)
            return name, (a, b)
    raise ParamsError(f"task {task.name}: none of its metrics is a mean over examples, so none can flip")


def _errors(evidence: Evidence) -> Float[np.ndarray, "S n"]:
    return -np.abs(evidence.predictions - evidence.labels)


def _flips(
    contrasts: Contrasts, examples: Sequence[Example], score: str, first: np.ndarray, second: np.ndarray
) -> Flips:
    """Put a comparison together from the scores (S, n) of examples."""
    evidence = contrasts.evidence[FIRST]
    right, wrong = _right(evidence, first), _wrong(evidence, first)
    then_right, then_wrong = _right(evidence, second), _wrong(evidence, second)

    def flips(chosen: Bool[np.ndarray, "n"]) -> tuple[Flip, ...]:
        before, after = first.mean(axis=0), second.mean(axis=0)
        ordered = sorted(
            np.flatnonzero(chosen).tolist(), key=lambda i: (-abs(after[i] - before[i]), evidence.ids[i])
        )
        return tuple(Flip(evidence.ids[i], examples[i], float(before[i]), float(after[i])) for i in ordered)

    to_right, to_wrong = flips(wrong & then_right), flips(right & then_wrong)
    both_right, both_wrong = int((right & then_right).sum()), int((wrong & then_wrong).sum())
    changed = len(to_right) + len(to_wrong) + both_right + both_wrong
    same_seeds = evidence.seeds == contrasts.evidence[SECOND].seeds
    return Flips(
        contrasts.column,
        evidence.metric.name,
        contrasts.comparison(SECOND, FIRST),
        score,
        len(examples),
        (len(evidence.seeds), len(contrasts.evidence[SECOND].seeds)),
        to_right,
        to_wrong,
        both_right,
        both_wrong,
        len(examples) - changed,
        slices_of(evidence, examples, first, second, same_seeds=same_seeds),
    )


def _shares_right(evidence: Evidence, scores: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "n"]:
    """Return how right an example is over the seeds: 0 to 1."""
    if evidence.task.family != "regression":
        return scores.mean(axis=0)
    low, high = evidence.task.label_range or (evidence.labels.min(), evidence.labels.max())
    return (-scores <= NEAR * (high - low)).mean(axis=0)


def _right(evidence: Evidence, scores: Float[np.ndarray, "S n"]) -> Bool[np.ndarray, "n"]:
    return _shares_right(evidence, scores) > 0.5


def _wrong(evidence: Evidence, scores: Float[np.ndarray, "S n"]) -> Bool[np.ndarray, "n"]:
    return _shares_right(evidence, scores) < 0.5
