"""The features that a unit's kept model gives evaluation texts: what Figure 5 is made of."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mase import seeds
from mase.artifacts import build, read_manifest
from mase.data import Rows
from mase.errors import MissingWeightsError
from mase.evaluation.embedding import TEXTS, Features, Space
from mase.evaluation.embedding_plot import Row
from mase.evaluation.pictured import has_model
from mase.identity import task_data
from mase.modalities import Modality
from mase.model.batch import Batch
from mase.model.blanks import ClozeOutput, mean_by_row
from mase.model.inference import device_of, in_row_order
from mase.model.inputs import Inputs
from mase.model.mase import MaseModel
from mase.model.task_model import MaseOutput, TaskModel
from mase.params import Params, TaskParams
from mase.prediction import model_folder
from mase.pretrained import load_pretrained
from mase.reading import reading
from mase.units import Unit, load_result

VERSION = 1
CONTRASTIVE = "contrastive."


def unit_features(unit: Unit, texts: int = TEXTS) -> Features:
    """Return features of a sample of a unit's evaluation texts, worked out once.

    Units of one task on the same data get the same texts, in the same order. Each example gives one
    text, so that texts are independent: of multiple choice a question with one of its choices, of long
    contexts one window, of a probe one of its templates, drawn at random.

    Raises:
        MissingWeightsError: if the unit keeps no model.
        DataError: if its evaluation rows are no longer there.
    """
    if not has_model(unit):
        raise MissingWeightsError(f"{unit.folder} keeps no model; train it with keep_model, as for Figure 5")
    identity = {"unit": unit.digest, "texts": texts}
    folder = build("features", identity, lambda into: _write(unit, texts, into), version=VERSION)
    return _read(folder)


def pictured_features(units: Mapping[str, Sequence[Unit]]) -> list[Row]:
    """Return the columns of one task's Figure 5: of each label what is done and keeps its model."""
    kept = {label: [u for u in found if has_model(u) and load_result(u)] for label, found in units.items()}
    return [Row(label, [unit_features(unit) for unit in found]) for label, found in kept.items() if found]


def _write(unit: Unit, texts: int, folder: Path) -> dict[str, Any]:
    kept, params = load_pretrained(model_folder(unit.folder))
    rows = sampled(task_data(unit.params.task, unit.params.data).evaluation, texts)
    with reading(kept, params, rows) as (seen, inputs):
        arrays = model_features(kept.model, inputs, params)
    classes, names = classes_of(params.task, seen)
    if classes is not None:
        arrays["classes"] = classes
    chosen = one_text_each(rows, seen)
    arrays = {name: values[chosen] for name, values in arrays.items()}
    np.savez(folder / "features.npz", **arrays)  # type: ignore[arg-type]
    (folder / "classes.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
    space: Space = "summed" if isinstance(kept.model, MaseModel) else "concatenated"
    return {"texts": len(arrays["together"]), "space": space}


def _read(folder: Path) -> Features:
    space = read_manifest(folder)["counts"]["space"]
    names = tuple(json.loads((folder / "classes.json").read_text(encoding="utf-8")))
    with np.load(folder / "features.npz", allow_pickle=False) as found:
        arrays = {name: found[name].astype(np.float32) for name in found.files if name != "classes"}
        classes = found["classes"] if "classes" in found.files else None
    together = arrays.pop("together")
    contrastive = {k.removeprefix(CONTRASTIVE): v for k, v in arrays.items() if k.startswith(CONTRASTIVE)}
    modalities = {k: v for k, v in arrays.items() if not k.startswith(CONTRASTIVE)}
    return Features(modalities, together, classes, names, contrastive or None, space)


def sampled(rows: Rows, texts: int) -> Rows:
    """Return a sample of at most `texts` rows, which depends on how many there are and on no run's seed."""
    order = seeds.numpy_generator(0, "unit-features/rows").permutation(len(rows))
    return rows.take(np.sort(order[:texts]))


def one_text_each(rows: Rows, seen: Rows) -> np.ndarray:
    """Return (n,) a text row of `seen` for each of the rows that have any, drawn at random.

    What a model sees of a row is named after it: its id, or its id, "/" and more.
    """
    known = {name: place for place, name in enumerate(rows.ids)}
    owner = np.repeat([_owner(name, known) for name in seen.ids], seen.options)
    order = seeds.numpy_generator(0, "unit-features/texts").permutation(len(owner))
    _, first = np.unique(owner[order], return_index=True)
    return order[first]


def _owner(name: str, known: Mapping[str, int]) -> int:
    while name not in known and "/" in name:
        name = name.rpartition("/")[0]
    return known[name]


def classes_of(task: TaskParams, rows: Rows) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return a class id per text of the rows, and the classes' names; None where a task has none.

    The gold label; of multiple choice, whether the choice is the right one; else the rows' strata.
    """
    if rows.options > 1:
        right = np.arange(rows.options) == np.asarray(rows.labels).reshape(-1, 1)
        return right.reshape(-1).astype(np.int64), ("wrong choice", "right choice")
    if task.family == "classification":
        return np.asarray(rows.labels, dtype=np.int64), tuple(task.labels)
    if rows.strata is not None:
        names, ids = np.unique(np.asarray(rows.strata), return_inverse=True)
        return ids.astype(np.int64), tuple(names.tolist())
    return None, ()


@torch.no_grad()
def model_features(model: TaskModel, inputs: Inputs, params: Params) -> dict[str, np.ndarray]:
    """Return half-precision features of every text: a modality's by its name, and "together".

    MASE: h_hat^m of each modality, their weighted sum h* (Eq. 1), and what Eq. 8 compares under
    "contrastive.<modality>" where that is another space. A model that concatenates: its slices, and
    the concatenation. States of single tokens are averaged over a text's tokens.
    """
    model.eval()
    options = inputs.rows.options

    def answer(indices: np.ndarray) -> dict[str, Tensor]:
        batch = inputs.batch(indices).to(device_of(model))
        found = _summed(model, batch) if isinstance(model, MaseModel) else _concatenated(model, batch)
        return {k: v.half().cpu().reshape(len(indices), options, -1) for k, v in found.items()}

    found = in_row_order(inputs.lengths, params.training.eval_batch_size, answer)
    return {name: v.reshape(-1, v.shape[-1]).numpy() for name, v in found.items()}


def _summed(model: MaseModel, batch: Batch) -> dict[str, Tensor]:
    output = model(batch)
    post = _per_text(output, batch)
    found: dict[str, Tensor] = {m: post[:, i] for i, m in enumerate(model.modalities)}
    if output.contrastive.shape != output.post.shape or not torch.equal(output.contrastive, output.post):
        found |= {f"{CONTRASTIVE}{m}": output.contrastive[:, i] for i, m in enumerate(model.modalities)}
    return found | {"together": model.sum(post, model.allocation)}


def _concatenated(model: TaskModel, batch: Batch) -> dict[str, Tensor]:
    together = _per_text(model(batch), batch)[:, 0]  # (B, W)
    widths: dict[Modality, int] = {m: p.shape[1] for m, p in batch.proxies.items() if m in model.modalities}
    first = {"text": together.shape[1] - sum(widths.values())} if "text" in model.modalities else {}
    pieces = together.split([*first.values(), *(widths[m] for m in model.modalities if m != "text")], dim=1)
    return {**dict(zip(model.modalities, pieces, strict=True)), "together": together}


def _per_text(output: MaseOutput, batch: Batch) -> Tensor:
    """Return h_hat (B, M, D), the mean over a text's tokens (B, L, M, D), or over its blanks (K, M, D)."""
    features = output.post.float()
    if isinstance(output, ClozeOutput) and output.blanks is not None:
        return mean_by_row(features, output.blanks, len(batch))
    if features.ndim == 3 or batch.mask is None:
        return features
    mask = batch.mask.to(features.dtype)[:, :, None, None]
    return (features * mask).sum(1) / mask.sum(1)
