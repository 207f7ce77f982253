"""The predictions of a cell's finished units, read from their folders and aligned by example."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from mase.errors import ArtifactError
from mase.evaluation.declaration import metric_of
from mase.evaluation.ensemble import averaged, members, why_none
from mase.evaluation.metrics import Metric, best_constant, metric_named, score
from mase.evaluation.metrics.scoring import CONSTANT, columns_of, is_computed, labels_of
from mase.evaluation.plan import Cell
from mase.evaluation.supplied import Supplied
from mase.params import Params, TaskParams
from mase.units import Unit, UnitResult

PREDICTIONS = "predictions.parquet"
Load = Callable[[Unit], UnitResult | None]


@dataclass(frozen=True)
class Evidence:
    """What the units of one cell predicted.

    Attributes:
        metric: what the cell shows.
        seeds: those that are done, in the order of the rows of `predictions`.
        ids: of the evaluation examples, sorted.
        labels: `(n,)`, the same for every seed.
        predictions: `(S, n)`, or `(S, n, k)` where the metric reads k > 1 columns.
        constant: `(n,)` or `(n, k)`, the best constant prediction; None where nobody knows one.
        scores: of each seed: metric -> value.
        digests: of each seed's unit; of several folds, or of an ensemble, joined by "+".
        seconds: digest of each unit -> its training time.
    """

    params: Params
    metric: Metric
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    labels: Shaped[np.ndarray, "n"]
    predictions: Shaped[np.ndarray, "S n ..."]
    constant: Shaped[np.ndarray, "n ..."] | None
    scores: tuple[dict[str, float], ...]
    digests: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def task(self) -> TaskParams:
        return self.params.task

    @property
    def main_scores(self) -> list[float]:
        """The shown metric of each seed."""
        return [scores[self.metric.name] for scores in self.scores]

    @property
    def chance(self) -> float | None:
        """The shown metric of the best constant prediction."""
        return None if self.constant is None else float(self.metric.value(self.labels, self.constant))

    @property
    def collapsed(self) -> int:
        """How many seeds predict one value for every example."""
        return sum(scores[CONSTANT] > 0 for scores in self.scores)

    def same_examples(self, other: "Evidence") -> bool:
        """Tell whether two cells were evaluated on the same examples."""
        return self.ids == other.ids and np.array_equal(self.labels, other.labels)


def _read(result: UnitResult, task: TaskParams) -> pd.DataFrame:
    path = result.folder / PREDICTIONS
    try:
        frame = pd.read_parquet(path).astype({"id": str})
        missing = {"label", "prediction"} - set(frame.columns)
    except (OSError, ValueError, KeyError) as cause:
        raise ArtifactError(f"{path}: no readable predictions ({cause}); delete {result.folder}") from cause
    if missing:
        raise ArtifactError(f"{path}: no column {missing.pop()!r}; delete {result.folder}")
    if frame.empty or frame["id"].duplicated().any():
        raise ArtifactError(f"{path}: expected one row per evaluation example; delete {result.folder}")
    return frame.assign(label=labels_of(task, frame)).sort_values("id", ignore_index=True)


def gather(cell: Cell, load: Load) -> Evidence | str:
    """Read the seeds of a cell whose units are all done; the reason if there is none.

    The folds of a seed are joined: together they predict every example once. In a row that is an ensemble
    a seed's predictions are the mean of its own and of the seeds that follow it.

    Raises:
        ArtifactError: if a unit's predictions are missing or broken, or if the seeds of the
            cell were evaluated on different examples.
    """
    if cell.supplied is not None:
        return _of_a_file(cell, cell.supplied)
    if not cell.units:
        return "no data" if cell.reason else "not available"
    params = cell.units[0].params
    if why := why_none(params.task, cell.asked, cell.ensemble):
        return why
    done: dict[int, list[UnitResult]] = {}
    for seed, units in cell.seeds().items():
        results = [result for unit in units if (result := load(unit)) is not None]
        if len(results) == len(units):
            done[seed] = results
    parts = {
        seed: those
        for seed, those in members(list(cell.seeds()), cell.ensemble).items()
        if all(each in done for each in those)
    }
    if not parts:
        return "not run"
    metric = metric_named(params.task, metric_of(cell.column) or params.task.main_metric)
    frames = [_joined(results, params.task) for results in done.values()]
    lacking = [seed for seed, frame in zip(done, frames, strict=True) if not is_computed(frame, metric)]
    if lacking:
        return _why_absent(metric, [unit for seed in lacking for unit in cell.seeds()[seed]])
    _refuse_other_examples(frames, list(done.values()))
    of_seed = dict(zip(done, frames, strict=True))
    means = [averaged([of_seed[each] for each in those]) for those in parts.values()]
    return _evidence(cell, metric, parts, done, means)


def _why_absent(metric: Metric, units: Sequence[Unit]) -> str:
    """Return why predictions lack a metric's columns: what is missing here, or was when they were scored."""
    reason = metric.unavailable() if metric.unavailable is not None else None
    names = ", ".join(unit.digest[:8] for unit in units)
    return reason or f"not computed (its program was missing when scored; delete units {names} and run again)"


def _of_a_file(cell: Cell, supplied: Supplied) -> Evidence:
    """Return what a user's file of predictions says, as of one seed."""
    params, frame = supplied.params, supplied.frame().sort_values("id", ignore_index=True)
    metric = metric_named(params.task, metric_of(cell.column) or params.task.main_metric)
    metrics = tuple(dict.fromkeys((*params.task.metrics, metric.name)))
    return Evidence(
        params=params,
        metric=metric,
        seeds=(params.seed,),
        ids=tuple(frame["id"]),
        labels=labels_of(params.task, frame),
        predictions=columns_of(params.task, frame, metric)[None],
        constant=best_constant(params.task, frame, metric),
        scores=(score(params.task.model_copy(update={"metrics": metrics}), frame),),
        digests=(supplied.digest,),
        seconds={},
    )


def _joined(results: Sequence[UnitResult], task: TaskParams) -> pd.DataFrame:
    """Return the predictions of one seed, from one unit or from each fold's."""
    joined = pd.concat([_read(result, task) for result in results], ignore_index=True)
    if joined["id"].duplicated().any():
        raise ArtifactError(f"{results[0].folder}: predicts examples that another fold predicts as well")
    return joined.sort_values("id", ignore_index=True)


def _refuse_other_examples(frames: Sequence[pd.DataFrame], results: Sequence[Sequence[UnitResult]]) -> None:
    for frame, found in zip(frames, results, strict=True):
        if not frame[["id", "label"]].equals(frames[0][["id", "label"]]):
            raise ArtifactError(f"{found[0].folder}: other evaluation examples than {results[0][0].folder}")


def _evidence(
    cell: Cell,
    metric: Metric,
    parts: Mapping[int, Sequence[int]],
    done: Mapping[int, Sequence[UnitResult]],
    frames: Sequence[pd.DataFrame],
) -> Evidence:
    """Return the evidence of predictions; `parts` says which seeds those of a seed are made of."""
    task = cell.units[0].params.task
    units = {seed: [unit.digest for unit in found] for seed, found in cell.seeds().items()}
    used = dict.fromkeys(each for those in parts.values() for each in those)
    metrics = tuple(dict.fromkeys((*task.metrics, metric.name)))
    scored = task.model_copy(update={"metrics": metrics})
    return Evidence(
        params=cell.units[0].params,
        metric=metric,
        seeds=tuple(parts),
        ids=tuple(frames[0]["id"]),
        labels=labels_of(task, frames[0]),
        predictions=np.stack([columns_of(task, frame, metric) for frame in frames]),
        constant=best_constant(task, frames[0], metric),
        scores=tuple(score(scored, frame) for frame in frames),
        digests=tuple("+".join(d for each in those for d in units[each]) for those in parts.values()),
        seconds={d: r.seconds for seed in used for d, r in zip(units[seed], done[seed], strict=True)},
    )
