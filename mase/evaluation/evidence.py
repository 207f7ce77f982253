"""The predictions of a cell's finished units, read from their folders and aligned by example."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from mase.errors import ArtifactError
from mase.evaluation.metrics import constant_predictions, score
from mase.evaluation.plan import Cell
from mase.params import Params, TaskParams
from mase.units import Unit, UnitResult

PREDICTIONS = "predictions.parquet"
Load = Callable[[Unit], UnitResult | None]


@dataclass(frozen=True)
class Evidence:
    """What the units of one cell predicted.

    Attributes:
        seeds: of the units that are done, in the order of the rows of `predictions`.
        ids: of the evaluation examples, sorted.
        labels: `(n,)`, the same for every seed.
        predictions: `(S, n)`.
        scores, digests, seconds: of each seed's unit: metrics, identity, training time.
    """

    params: Params
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    labels: Shaped[np.ndarray, "n"]
    predictions: Shaped[np.ndarray, "S n"]
    scores: tuple[dict[str, float], ...]
    digests: tuple[str, ...]
    seconds: tuple[float, ...]

    @property
    def task(self) -> TaskParams:
        return self.params.task

    @property
    def main_scores(self) -> list[float]:
        """The main metric of each seed."""
        return [scores[self.task.main_metric] for scores in self.scores]

    @property
    def collapsed(self) -> int:
        """How many seeds predict one value for every example."""
        return sum(constant_predictions(row) for row in self.predictions)

    def same_examples(self, other: "Evidence") -> bool:
        """Tell whether two cells were evaluated on the same examples."""
        return self.ids == other.ids and np.array_equal(self.labels, other.labels)


def _read(result: UnitResult, task: TaskParams) -> pd.DataFrame:
    path = result.folder / PREDICTIONS
    try:
        frame = pd.read_parquet(path, columns=["id", "label", "prediction"])
    except (OSError, ValueError, KeyError) as cause:
        raise ArtifactError(f"{path}: no readable predictions ({cause}); delete {result.folder}") from cause
    if frame.empty or frame["id"].duplicated().any():
        raise ArtifactError(f"{path}: expected one row per evaluation example; delete {result.folder}")
    kind = np.float64 if task.family == "regression" else np.int64
    return frame.astype({"id": str, "label": kind, "prediction": kind}).sort_values("id", ignore_index=True)


def gather(cell: Cell, load: Load) -> Evidence | None:
    """Read the units of a cell that are done; None if there is none.

    Raises:
        ArtifactError: if a unit's predictions are missing or broken, or if the seeds of the
            cell were evaluated on different examples.
    """
    done = [(unit, result) for unit in cell.units if (result := load(unit)) is not None]
    if not done:
        return None
    task = done[0][0].params.task
    frames = [_read(result, task) for _, result in done]
    first = frames[0]
    for (_, result), frame in zip(done, frames, strict=True):
        if not frame[["id", "label"]].equals(first[["id", "label"]]):
            raise ArtifactError(f"{result.folder}: other evaluation examples than {done[0][1].folder}")
    labels = first["label"].to_numpy()
    predictions = np.stack([frame["prediction"].to_numpy() for frame in frames])
    return Evidence(
        params=done[0][0].params,
        seeds=tuple(unit.params.seed for unit, _ in done),
        ids=tuple(first["id"]),
        labels=labels,
        predictions=predictions,
        scores=tuple(score(task, labels, row) for row in predictions),
        digests=tuple(unit.digest for unit, _ in done),
        seconds=tuple(result.seconds for _, result in done),
    )
