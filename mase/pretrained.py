"""A trained model in a folder, and back: Hugging Face's layout plus what reading texts needs.

    config.json          what the model is, for Hugging Face's tools
    model.safetensors    all weights, frozen layers included, and the allocation
    tokenizer files      as Hugging Face saves them
    README.md            the model card
    params.yaml          the run's params; written last, so that a folder with it is whole
    backbone/            config.json of the language model
    inventory.json       the relation types of the scene graphs (null without MSSG)
    labels.json          the answers that the training rows gave, of a task that does not name them
    features.safetensors scales fitted on the training rows

The towers are not in it: `params.yaml` names them, and they are found as in training. A folder
without `config.json` and `README.md`, as folders were written at first, loads the same way.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from mase.artifacts import write_atomically, write_json
from mase.errors import CheckpointFormatError, ParamsError
from mase.methods import build_model, model_class
from mase.model.features import Standardiser
from mase.model.mase import MaseModel
from mase.model.preparation import Fitted
from mase.model.task_model import TaskModel
from mase.model_card import card_of
from mase.params import Params, read_yaml, validate
from mase.prediction import model_folder
from mase.pretrained_config import config_of
from mase.scenegraph import RelationInventory


@dataclass(frozen=True)
class Pretrained:
    """A trained model with what it needs to read new texts."""

    model: TaskModel
    fitted: Fitted
    tokenizer: PreTrainedTokenizerBase | None


def save_pretrained(
    folder: Path, model: TaskModel, params: Params, fitted: Fitted, tokenizer: PreTrainedTokenizerBase | None
) -> None:
    """Write a trained model into a folder; `params.yaml` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    safetensors_torch.save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    backbone: PreTrainedConfig | None = None
    if tokenizer is not None:
        backbone = cast(PreTrainedConfig, model.backbone.config)  # type: ignore[union-attr]
        tokenizer.save_pretrained(folder)
        backbone.save_pretrained(folder / "backbone")
    config_of(params, type(model).__name__, backbone).save_pretrained(folder)
    write_atomically(folder / "README.md", card_of(params).to_markdown())
    scales: dict[str, np.ndarray] = {
        "labels": np.array([fitted.label_mean, fitted.label_deviation], np.float64)
    }
    for kind, found in (("sentence", fitted.sentence), ("node", fitted.node)):
        for modality, scale in found.items():
            scales[f"{kind}.{modality}.mean"] = np.ascontiguousarray(scale.mean)
            scales[f"{kind}.{modality}.deviation"] = np.ascontiguousarray(scale.deviation)
    save_file(scales, folder / "features.safetensors")
    if fitted.labels:
        write_json(folder / "labels.json", list(fitted.labels))
    write_json(folder / "inventory.json", None if fitted.inventory is None else fitted.inventory.to_json())
    write_atomically(folder / "params.yaml", yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False))


def load_pretrained(folder: Path) -> tuple[Pretrained, Params]:
    """Return the model of a folder that `save_pretrained` wrote, in evaluation mode.

    Raises:
        CheckpointFormatError: if a file does not fit the params.
        ParamsError: if the params do not validate.
    """
    folder = Path(folder)
    params = validate(Params, read_yaml(folder / "params.yaml"), str(folder / "params.yaml"))
    fitted = _load_fitted(folder)
    has_backbone = model_class(params).has_backbone
    model = build_model(params, fitted, architecture=folder / "backbone" if has_backbone else None)
    try:
        safetensors_torch.load_model(model, str(folder / "model.safetensors"), strict=True)
    except (RuntimeError, SafetensorError) as cause:
        raise CheckpointFormatError(f"{folder / 'model.safetensors'}: {cause}") from cause
    tokenizer = AutoTokenizer.from_pretrained(folder) if has_backbone else None
    return Pretrained(model.eval(), fitted, tokenizer), params


def model_from_pretrained(folder: Path | str) -> MaseModel:
    """Return the model of a unit's folder, or of one that `save_pretrained` wrote, in evaluation mode.

    Raises:
        MissingWeightsError: if there is no whole model in it.
        CheckpointFormatError: if it holds another model, or a file does not fit the params.
        ParamsError: if the params do not validate.
    """
    found, params = load_pretrained(model_folder(Path(folder)))
    if not isinstance(found.model, MaseModel):
        raise CheckpointFormatError(
            f"{folder} holds a model of method {params.method}; mase.Predictor.load reads it"
        )
    found.model.reading = (found.fitted, found.tokenizer)
    return found.model


def save_model(model: MaseModel, folder: Path | str) -> None:
    """Write a model that came from `model_from_pretrained` into a folder, with its changed weights.

    Raises:
        ParamsError: if the model did not, so that nothing says how it reads texts.
    """
    if model.reading is None:
        raise ParamsError(
            "this model was not loaded with from_pretrained; "
            "use mase.model.save_pretrained(folder, model, params, fitted, tokenizer)"
        )
    save_pretrained(Path(folder), model, model.params, *model.reading)


def _load_fitted(folder: Path) -> Fitted:
    scales = load_file(folder / "features.safetensors")
    found: dict[str, dict[Any, Standardiser]] = {"sentence": {}, "node": {}}
    for key in scales:
        kind, _, rest = key.partition(".")
        modality, _, part = rest.partition(".")
        if part == "mean":
            found[kind][modality] = Standardiser(scales[key], scales[f"{kind}.{modality}.deviation"])
    inventory = json.loads((folder / "inventory.json").read_text())
    labels = folder / "labels.json"
    mean, deviation = scales["labels"].tolist()
    return Fitted(
        None if inventory is None else RelationInventory.from_json(inventory),
        found["sentence"],
        found["node"],
        mean,
        deviation,
        tuple(json.loads(labels.read_text())) if labels.is_file() else (),
    )
