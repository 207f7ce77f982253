"""Synthetic units: a declared table, cells with folders as training leaves them, no training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.artifacts import digest_of
from mase.evaluation.declaration import RowParams, TableParams
from mase.evaluation.plan import Cell
from mase.params import Params, load_params

Predict = Callable[[int], np.ndarray]  # seed -> predictions
Numbers = Callable[[int], dict[str, np.ndarray]]  # seed -> further columns


@dataclass(frozen=True)
class FakeUnit:
    """What the evaluation room uses of a unit."""

    params: Params
    label: str
    digest: str


@dataclass(frozen=True)
class FakeResult:
    folder: Path
    seconds: float = 10.0
    counts: dict[str, int] = field(default_factory=lambda: {"train": 1234, "slice": 100, "evaluation": 200})
    details: dict[str, Any] = field(
        default_factory=lambda: {
            "task": "looks",
            "data_digest": "0123456789abcdef0123",
            "versions": {"torch": "2.14.1"},
            "precision": "fp32",
            "peak_bytes": 3 * 2**29,
        }
    )


@dataclass
class Study:
    """Cells and results under construction."""

    root: Path
    cells: list[Any] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)

    def load(self, unit: Any) -> Any:
        return self.results.get(unit.digest)

    def add(
        self,
        row: str,
        column: str,
        labels: np.ndarray,
        predict: Predict | None,
        *,
        seeds: Sequence[int] = (0, 1, 2),
        done: Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
        profile: str = "smoke",
        overrides: Sequence[str] = (),
        folds: int = 1,
        numbers: Numbers | None = None,
    ) -> None:
        """Add a cell; columns of one task share their units.

        Args:
            predict: None is a row without units.
            done: which seeds have a result.
            folds: example i is predicted by the unit of fold i % folds.
            numbers: seed -> further columns of the predictions.
        """
        if predict is None:
            self.cells.append(Cell(row, column, ()))
            return
        units, task = [], column.partition(":")[0]
        for seed in seeds:
            for fold in range(folds):
                folded = [f"data.folds={folds}", f"data.fold={fold}"] if folds > 1 else []
                params = load_params(task, profile=profile, overrides=[*overrides, *folded], seed=seed)
                units.append(FakeUnit(params, f"{row}/{task}/{seed}", digest_of([row, task, seed, fold])))
        self.cells.append(Cell(row, column, tuple(units)))
        for unit in units:
            seed, fold = unit.params.seed, unit.params.data.fold
            if (done is not None and seed not in done) or unit.digest in self.results:
                continue
            names = ids or [f"dev-{i}" for i in range(len(labels))]
            frame = pd.DataFrame({"id": names, "label": labels, "prediction": predict(seed)})
            frame = frame.assign(**({} if numbers is None else numbers(seed)))
            self.results[unit.digest] = FakeResult(self._write(unit, frame.iloc[fold::folds]))

    def _write(self, unit: FakeUnit, frame: pd.DataFrame) -> Path:
        folder = self.root / unit.digest
        folder.mkdir(parents=True)
        frame.sample(frac=1.0, random_state=unit.params.seed).to_parquet(folder / "predictions.parquet")
        return folder


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path / "units")


def _declare(columns: Sequence[str], rows: Sequence[dict[str, Any]], **more: Any) -> TableParams:
    built = [RowParams(**{"overlays": ("methods/text",), "group": "method", **row}) for row in rows]
    settings = {"name": "t", "title": "T", "reference": built[0].label, "primary": built[-1].label, **more}
    return TableParams(columns=tuple(columns), rows=tuple(built), **settings)


@pytest.fixture
def declare() -> Callable[..., TableParams]:
    """Build a declaration; the first row is the reference, the last the primary one."""
    return _declare


@pytest.fixture
def flipped() -> Callable[..., Predict]:
    """Return predictions of binary labels that are wrong on a share of the examples, each seed its own."""

    def build(labels: np.ndarray, wrong: float, name: int = 0) -> Predict:
        def predict(seed: int) -> np.ndarray:
            misses = np.random.default_rng([seed, name]).random(labels.size) < wrong
            return np.where(misses, 1 - labels, labels)

        return predict

    return build
