"""Planted-signal runs: rows whose label one chosen modality carries, on the tiny backbone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mase.data import Rows
from mase.em.estep import Labelled
from mase.em.loop import Trainer
from mase.methods import build_model
from mase.modalities import Modality
from mase.model.backbone import load_tokenizer
from mase.model.features import Standardiser
from mase.model.inference import predict
from mase.model.inputs import Inputs
from mase.model.preparation import Fitted
from mase.model.task_model import TaskModel
from mase.model.tokens import tokenise
from mase.params import Params, load_params

WIDTH = 16
NOUNS = "lamp river dog piano storm wheel apple door cloud spoon".split()
LONGEST = 9  # nouns in a text; batches of an evaluation are sorted by length
FAST = ("graph=null", "training.lr_new=0.01", "training.epochs=6", "allocation.iterations=6")


def planted_params(
    *overrides: str,
    overlays: tuple[str, ...] = ("methods/mase",),
    preset: str | None = None,
    family: Literal["classification", "regression"] = "classification",
    seed: int = 0,
) -> Params:
    """Return smoke params without a graph, with a learning rate that learns in a few steps."""
    task, source = "looks", ()
    if family == "regression":
        task, source = "stsb", ("data.source=files", "data.dir=unread")
    fast = (*FAST, *source, *overrides)
    return load_params(task, profile="smoke", preset=preset, overlays=overlays, overrides=fast, seed=seed)


@dataclass(frozen=True)
class Planted:
    """Training rows, slice and test rows with one informative modality (or none)."""

    train: Labelled
    estimation: Labelled
    test: Labelled
    fitted: Fitted


def plant(params: Params, informative: Modality | None, *, rows: int = 256, seed: int = 0) -> Planted:
    """Return splits in which only `informative` tells the label: a shift of its features.

    Classes are even and scores uniform between 0 and 5; texts have 1 to `LONGEST` nouns.
    """
    generator = np.random.default_rng(seed)
    regression = params.task.family == "regression"
    mean, deviation = (2.5, 5 / 12**0.5) if regression else (0.5, 0.5)
    tokenizer = load_tokenizer(params.backbone)

    def split(name: str, count: int) -> Labelled:
        labels = generator.integers(0, 2, count)
        if regression:
            labels = generator.uniform(0.0, 5.0, count).astype(np.float32)
        lengths = generator.integers(1, LONGEST + 1, count)
        texts = tuple(" ".join(generator.choice(NOUNS, length)) for length in lengths)
        proxies: dict[Modality, np.ndarray] = {}
        for modality in params.modalities:
            if modality == "text":
                continue
            features = generator.normal(size=(count, WIDTH))
            if modality == informative:
                features[:, 0] += 1.5 * (labels - mean) / deviation
            proxies[modality] = features.astype(np.float32)
        part = Rows(tuple(f"{name}{i}" for i in range(count)), texts, None, labels)
        return Labelled(Inputs(part, tokenise(tokenizer, part, 16), proxies), torch.from_numpy(labels))

    identity = Standardiser(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))
    scale = (mean, deviation) if regression else (0.0, 1.0)
    fitted = Fitted(None, {m: identity for m in params.modalities if m != "text"}, {}, *scale)
    return Planted(split("a", rows), split("b", 200), split("c", 200), fitted)


def predict_logits(model: TaskModel, inputs: Inputs, batch_size: int) -> torch.Tensor:
    """Return the fused prediction of every row, (n, C)."""
    return torch.from_numpy(predict(model, inputs, batch_size)["logits"])


def trained(params: Params, planted: Planted) -> tuple[TaskModel, list[dict[str, float]]]:
    """Train a fresh model; return it and the allocation of every EM iteration."""
    model = build_model(params, planted.fitted)
    history = Trainer(params, model, planted.train, planted.estimation, digest="planted").run()
    return model, [i.weights for i in history]
