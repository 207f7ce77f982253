"""The unit: one training run, named by a digest of all that it depends on.

A unit lives in `<home>/units/<digest>/`:

    params.yaml          its params
    state/               the last checkpoint, while it trains
    predictions.parquet  id, label, prediction (and probability_<k>) of every evaluation row
    allocation.csv       iteration, modality, weight, information, information_se
    model/               the trained model, where it was asked for
    result.json          written last, atomically: a unit that has one is never trained again
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mase.artifacts import digest_of, home
from mase.errors import ArtifactError, TrainingError
from mase.identity import identity, task_data
from mase.params import Params
from mase.tracking import Tracker

__all__ = ["Unit", "UnitResult", "identity", "load_result", "task_data", "train"]

VERSION = 3  # raise it when the same params train another model
RESULT = "result.json"

Progress = Callable[[str, int, int], None]
OnIteration = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Unit:
    """One training run; `label` is for people and does not count."""

    params: Params
    label: str

    @cached_property
    def digest(self) -> str:
        """Return the unit's name."""
        from mase.em.loop import VERSION as LOOP_VERSION
        from mase.proxies.extraction import VERSION as PROXIES_VERSION
        from mase.scenegraph.table import VERSION as GRAPHS_VERSION

        versions = [VERSION, LOOP_VERSION, PROXIES_VERSION, GRAPHS_VERSION]
        return digest_of({"versions": versions, "params": identity(self.params)})

    @property
    def folder(self) -> Path:
        """Return where the unit lives."""
        return home() / "units" / self.digest


@dataclass(frozen=True)
class UnitResult:
    """What a finished unit says.

    Attributes:
        metrics: by name, on the evaluation rows.
        allocation: the stored weights, by modality.
        seconds: of preparation, training and evaluation in the attempt that finished; what attempts
            before its last resume took is not in it.
        counts: rows, steps, trainable parameters.
        details: the rest of result.json: versions, costs, diagnostics.
        trained: False if the result was already there.
    """

    digest: str
    folder: Path
    metrics: dict[str, float]
    allocation: dict[str, float]
    seconds: float
    counts: dict[str, int]
    details: dict[str, Any]
    trained: bool = False


def load_result(unit: Unit) -> UnitResult | None:
    """Return a finished unit's result, or None.

    Raises:
        ArtifactError: if `result.json` is there but is not this unit's.
    """
    path = unit.folder / RESULT
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        known = {k: content.pop(k) for k in ("digest", "metrics", "allocation", "seconds", "counts")}
    except (json.JSONDecodeError, KeyError, AttributeError) as cause:
        raise ArtifactError(
            f"{path} is not a unit's result ({cause!r}); delete it to train the unit again"
        ) from cause
    if known["digest"] != unit.digest:
        raise ArtifactError(f"{path} belongs to unit {known['digest']}; delete it to train the unit again")
    if not set(unit.params.task.metrics) <= set(known["metrics"]):
        known["metrics"] = _scored_again(unit)
    return UnitResult(folder=unit.folder, details=content, **known)


def _scored_again(unit: Unit) -> dict[str, float]:
    """Return a finished unit's metrics from its predictions: its params name one that they did not."""
    import pandas as pd

    from mase.evaluation.metrics import score

    path = unit.folder / "predictions.parquet"
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as cause:
        raise ArtifactError(
            f"{path} cannot be read ({cause}); delete {unit.folder} to train again"
        ) from cause
    return score(unit.params.task, found)


def train(
    unit: Unit,
    *,
    tracker: Tracker | None = None,
    progress: Progress | None = None,
    on_iteration: OnIteration | None = None,
    keep_model: bool = False,
) -> UnitResult:
    """Train a unit, or return its result if it has one; a half-done unit resumes.

    One process waits while another trains the unit. Of several ranks (`mase.ranks`) only the first writes,
    tracks and decides; they do not wait.

    Args:
        tracker: where metrics go; the caller opens and closes it.
        progress: called with (stage, done, total), stage "prepare", "train" or "evaluate".
        on_iteration: called after each E-step with its number and numbers: `objective`, and
            `score` (the main metric on the study's slice) where `data.evaluate_on` is "tune".
            An exception raised in it stops the run and leaves it resumable.
        keep_model: also write `model/`; a unit that has a result but no model trains again.

    Raises:
        TrainingError: if another process trains the unit that several ranks are to train.
        MaseError: of the kind that says what is wrong.
    """
    from mase import ranks  # the rest of this module needs no torch

    progress = progress or (lambda *_: None)
    lock = FileLock(unit.folder / ".lock")
    try:
        done = ranks.decided(lambda: _finished_or_locked(unit, keep_model, lock))
        if done is not None:
            return done
        from mase.training import train_unit  # a unit that is done needs no model

        try:
            train_unit(unit, tracker if ranks.is_main() else None, progress, on_iteration, keep_model)
        finally:
            if ranks.is_main():
                _remove_if_empty(unit.folder)
    finally:
        lock.release()
    result = ranks.decided(lambda: load_result(unit))
    assert result is not None
    return UnitResult(**{**result.__dict__, "trained": True})


def check_free(unit: Unit) -> None:
    """Refuse a unit that another process is training.

    Raises:
        TrainingError: if it is.
    """
    if unit.folder.exists():
        lock = FileLock(unit.folder / ".lock")
        _acquire(lock, unit, blocking=False)
        lock.release()


def _finished_or_locked(unit: Unit, keep_model: bool, lock: FileLock) -> UnitResult | None:
    """Return a finished unit's result; else hold its lock, so that nobody else trains it meanwhile."""
    from mase import ranks

    done = _finished(unit, keep_model)
    if done is None:
        unit.folder.mkdir(parents=True, exist_ok=True)
        # Ranks do not wait: the others would do so in a collective call, which times out.
        _acquire(lock, unit, blocking=ranks.count() == 1)
        done = _finished(unit, keep_model)
    if done is not None:
        shutil.rmtree(unit.folder / "state", ignore_errors=True)  # of a run killed after its result
    return done


def _acquire(lock: FileLock, unit: Unit, blocking: bool) -> None:
    try:
        lock.acquire(blocking=blocking)
    except Timeout as cause:
        raise TrainingError(
            f"another process trains {unit.label or unit.digest}; run this again when it has ended"
        ) from cause


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a unit that failed before anything was written into it."""
    if all(path.name == ".lock" for path in folder.iterdir()):
        shutil.rmtree(folder)


def _finished(unit: Unit, keep_model: bool) -> UnitResult | None:
    if keep_model and not (unit.folder / "model" / "params.yaml").exists():
        return None
    return load_result(unit)
