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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from mase.artifacts import digest_of, home, sha256_file
from mase.data import TaskData, prepare
from mase.errors import ArtifactError
from mase.params import DataParams, Params, TaskParams
from mase.tracking import Tracker

VERSION = 1  # raise it when the same params train another model
RESULT = "result.json"

Progress = Callable[[str, int, int], None]
OnIteration = Callable[[int, dict[str, float]], None]


_PREPARED: dict[str, TaskData] = {}


def task_data(task: TaskParams, data: DataParams) -> TaskData:
    """Return a task's prepared rows, read once per process."""
    key = digest_of([task.model_dump(mode="json"), data.model_dump(mode="json")])
    if key not in _PREPARED:
        _PREPARED[key] = prepare(task, data)
    return _PREPARED[key]


@lru_cache(maxsize=64)
def _file_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)


def _digest_of_file(path: Path) -> str:
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


def _tower_identity(tower: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines a tower's vectors: its settings and, for a file, its bytes."""
    identity = {k: v for k, v in tower.items() if k not in ("note", "stand_in", "name")}
    path = Path(str(tower["ref"]))
    return {**identity, "ref": _digest_of_file(path)} if path.is_file() else identity


def _backbone_identity(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines the language model: its settings and, for a folder, its files."""
    if backbone["source"] != "path":
        return dict(backbone)
    files = sorted(
        p for p in Path(backbone["ref"]).glob("*") if p.suffix in (".json", ".safetensors", ".bin")
    )
    return {**backbone, "ref": {p.name: _digest_of_file(p) for p in files}}


def identity(params: Params) -> dict[str, Any]:
    """Return the part of the params that can change a run's numbers.

    Titles, notes, paths and batch sizes of evaluation do not; neither do settings of what
    the run does not have (towers of absent modalities, the temperature where alpha is 0).
    """
    content = params.model_dump(mode="json")
    used = [m for m in params.modalities if m != "text"]
    content["backbone"] = _backbone_identity(content["backbone"])
    if params.head.match_parameters_of is not None:  # the size of the head follows the towers' widths
        content["head"]["towers"] = {m: t.output_width for m, t in params.towers.items()}
    content["towers"] = {m: _tower_identity(content["towers"][m]) for m in used}
    content["task"] = {k: content["task"][k] for k in ("name", "family", "labels", "label_range")}
    content["data"] = task_data(params.task, params.data).digest
    for key in ("eval_batch_size", "checkpoint_every"):
        content["training"].pop(key)
    if not used:
        content.pop("proxies")
        content["allocation"] = {"iterations": params.allocation.iterations}
    if params.method != "mase":
        content.pop("fusion")
    if params.contrastive.alpha == 0:
        content["contrastive"] = {"alpha": 0.0}
    if params.method == "mc_ptm":
        content.pop("backbone")
    return content


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
        seconds: of training and evaluation, over all attempts since the last checkpoint was read.
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
    return UnitResult(folder=unit.folder, details=content, **known)


def train(
    unit: Unit,
    *,
    tracker: Tracker | None = None,
    progress: Progress | None = None,
    on_iteration: OnIteration | None = None,
    keep_model: bool = False,
) -> UnitResult:
    """Train a unit, or return its result if it has one; a half-done unit resumes.

    Args:
        tracker: where metrics go; the caller opens and closes it.
        progress: called with (stage, done, total), stage "prepare", "train" or "evaluate".
        on_iteration: called after each E-step with its number and numbers: `objective`, and
            `score` (the main metric on the study's slice) where `data.evaluate_on` is "tune".
            An exception raised in it stops the run and leaves it resumable.
        keep_model: also write `model/`; a unit that has a result but no model trains again.

    Raises:
        MaseError: of the kind that says what is wrong.
    """
    done = _finished(unit, keep_model)
    if done is not None:
        shutil.rmtree(unit.folder / "state", ignore_errors=True)  # of a run killed after its result
        return done
    from mase.training import train_unit  # the rest of this module needs no torch

    unit.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(unit.folder / ".lock"):
        done = _finished(unit, keep_model)
        if done is not None:
            return done
        train_unit(unit, tracker, progress or (lambda *_: None), on_iteration, keep_model)
        result = load_result(unit)
    assert result is not None
    return UnitResult(**{**result.__dict__, "trained": True})


def _finished(unit: Unit, keep_model: bool) -> UnitResult | None:
    if keep_model and not (unit.folder / "model" / "params.yaml").exists():
        return None
    return load_result(unit)
