"""A training that several tasks share: zero-shot probes that are asked after learning from the same captions.

Such tasks differ in what they are asked, not in what they learn. The first of their units that trains keeps
it in `<home>/trained/<digest>/`; the others take it over and are only evaluated:

    weights.safetensors  parameters that train and buffers, without the tokens of the task's own labels
    history.json         what each EM iteration recorded
    manifest.json        names the unit that trained

The digest is of all that the training reads, bit by bit: the batches of the training and slice rows, their
targets, the first weights, and the params without those of the question. So trainings that differ in
anything, be it rounding, are never taken for one. The folder is a cache: deleting it costs time only.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mase.artifacts import build, read_manifest, write_atomically
from mase.em.checkpoint import learned_state
from mase.em.estep import Labelled
from mase.em.loop import VERSION as LOOP_VERSION
from mase.em.loop import Iteration, Trainer
from mase.errors import CheckpointFormatError
from mase.identity import identity
from mase.model.batch import Part
from mase.model.blanks import OF_LABELS, FillsBlanks
from mase.model.task_model import TaskModel
from mase.units import VERSION as UNIT_VERSION
from mase.units import Unit

VERSION = 1  # of the files
WEIGHTS, HISTORY = "weights.safetensors", "history.json"
ROWS = 256  # of a batch that is hashed


def trained(unit: Unit, trainer: Trainer) -> tuple[list[Iteration], str | None]:
    """Run a unit's training, or take over what another unit learned from the same; the model is changed.

    Returns:
        What `Trainer.run` does, and the digest of the unit that trained if it is another one.

    Raises:
        ArtifactError: if what was kept does not match its manifest.
        CheckpointFormatError: if it is of another model.
    """
    if not isinstance(trainer.model, FillsBlanks) or trainer.total_steps == 0:
        return trainer.run(), None
    here: list[Iteration] = []

    def write(folder: Path) -> Mapping[str, Any]:
        here.extend(trainer.run())
        save_file(_weights(trainer.model), folder / WEIGHTS)
        write_atomically(folder / HISTORY, json.dumps([asdict(iteration) for iteration in here]))
        return {"unit": unit.digest, "steps": trainer.total_steps}

    folder = build("trained", _read_in_training(unit, trainer), write, version=VERSION)
    if here:
        return here, None
    _take_over(trainer.model, folder / WEIGHTS)
    history = [Iteration(**content) for content in json.loads((folder / HISTORY).read_text())]
    for iteration in history[:-1]:
        trainer.observe(iteration)
    return history, read_manifest(folder)["counts"]["unit"]


def _weights(model: TaskModel) -> dict[str, Tensor]:
    """Return what training changes or sets, each tied weight once."""
    found, places = {}, set()
    for name, value in learned_state(model).items():
        if name not in OF_LABELS and value.data_ptr() not in places:
            found[name] = value
            places.add(value.data_ptr())
    return found


def _take_over(model: TaskModel, path: Path) -> None:
    own, kept = _weights(model), load_file(path)
    if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in kept.items()}:
        raise CheckpointFormatError(f"{path} is of another model; delete {path.parent}")
    for name, value in own.items():  # they share their memory with the model
        value.copy_(kept[name])


def _read_in_training(unit: Unit, trainer: Trainer) -> dict[str, Any]:
    """Return the identity of a training: settings, and a digest of what is read and of the first weights."""
    settings = identity(unit.params)
    for question in ("task", "data"):  # the rows are told by the batches
        settings.pop(question)
    digest = hashlib.sha256()
    for rows in (trainer.train, trainer.estimation):
        _add_rows(digest, rows)
    _add(digest, _weights(trainer.model))
    return {"versions": [UNIT_VERSION, LOOP_VERSION], "params": settings, "read": digest.hexdigest()}


def _add_rows(digest: Any, rows: Labelled) -> None:
    for start in range(0, len(rows), ROWS):
        indices = np.arange(start, min(start + ROWS, len(rows)))
        _add(digest, [rows.batch(indices), rows.labels_of(indices)])


def _add(digest: Any, value: Any) -> None:
    """Add the bytes of nested tensors and of what is between them."""
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Part):
        _add(digest, {each.name: getattr(value, each.name) for each in fields(value)})
    elif isinstance(value, Mapping):
        for name in sorted(value):
            digest.update(f"{name}:".encode())
            _add(digest, value[name])
    elif isinstance(value, list):
        for item in value:
            _add(digest, item)
    else:
        digest.update(repr(value).encode())
