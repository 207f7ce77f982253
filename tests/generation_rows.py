"""Planted rows of generation on the tiny backbone: sentences that the text or one proxy tells."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.em.estep import Labelled
from mase.em.loop import Trainer
from mase.methods import build_model, model_class
from mase.modalities import Modality
from mase.model.backbone import load_tokenizer
from mase.model.features import Standardiser
from mase.model.inference import predict
from mase.model.inputs import Inputs
from mase.model.preparation import Fitted
from mase.model.task_model import Split, TaskModel
from mase.model.tokens import tokenise
from mase.params import BackboneParams, Params, load_params

WIDTH = 12
NOUNS = "bus dog car rain men boat lake red".split()  # words of `tests.tiny_backbones`
SUBJECTS = "a red bus,the dog,two men,a car,rain on the lake".split(",")
FAST = ("graph=null", "allocation.iterations=3", "training.epochs=8", "generation.max_target_length=6")
RATES = ("training.lr_new=0.02", "training.lr_backbone=0.005")


def generation_params(
    backbone: BackboneParams, *overrides: str, method: str = "mase", modalities: str = "[text, image]"
) -> Params:
    """Return smoke params of CommonGen, without a graph, that learn in a few steps."""
    files = ("data.source=files", "data.dir=unread", f"modalities={modalities}")
    overlays = (f"methods/{method}",)
    overrides = (*files, *FAST, *RATES, *overrides)
    params = load_params("commongen", profile="smoke", overlays=overlays, overrides=overrides)
    return params.model_copy(update={"backbone": backbone})


def own_task(folder: Path, backbone: BackboneParams, overlay: str, *overrides: str) -> Params:
    """Return params of a task on files of one's own, with random towers and the graph."""
    lines = [
        json.dumps({"source": f"{subject} {noun}", "target": [f"{subject} at the {noun}"]})
        for subject in SUBJECTS
        for noun in NOUNS
    ]
    (folder / "own.jsonl").write_text("\n".join(lines))
    (folder / "own.yaml").write_text(
        "name: own\ntitle: Own\nfamily: generation\nmetrics: [bleu_3, cider]\nmain_metric: cider\n"
        "files: {train: own.jsonl, columns: {text_a: source, label: target}}\n"
    )
    small = ("data.source=files", "data.slice_min=6", "allocation.iterations=2", "training.epochs=1")
    overlays = (f"methods/{overlay}", "controls/random_towers") if overlay != "text" else ("methods/text",)
    params = load_params(
        str(folder / "own.yaml"), profile="smoke", overlays=overlays, overrides=(*small, *overrides)
    )
    return params.model_copy(update={"backbone": backbone})


@dataclass(frozen=True)
class Sentences:
    """Training rows, slice and test rows whose sentence "the <noun>" the text or the image tells."""

    train: Labelled
    estimation: Labelled
    test: Labelled
    fitted: Fitted
    tokenizer: PreTrainedTokenizerBase


def plant(params: Params, told_by: Literal["text", "image"], *, rows: int = 144, seed: int = 0) -> Sentences:
    """Return splits; what does not tell the noun is the same text for all, or noise."""
    generator = np.random.default_rng(seed)
    tokenizer = load_tokenizer(params.backbone)
    identity = Standardiser(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))
    others: list[Modality] = [m for m in params.modalities if m != "text"]
    fitted = Fitted(None, dict.fromkeys(others, identity), {})

    def split(name: str, count: int) -> Labelled:
        noun = generator.integers(0, len(NOUNS), count)
        texts = tuple(NOUNS[n] if told_by == "text" else "thing" for n in noun)
        part = Rows(
            ids=tuple(f"{name}{i}" for i in range(count)),
            texts_a=texts,
            texts_b=None,
            labels=np.zeros(count, np.int64),
            groups=texts,
            references=tuple((f"the {NOUNS[n]}",) for n in noun),
        )
        proxies: dict[Modality, np.ndarray] = {
            m: generator.normal(size=(count, WIDTH)).astype(np.float32) for m in others
        }
        if told_by == "image" and "image" in proxies:
            proxies["image"] = 3.0 * np.eye(WIDTH, dtype=np.float32)[noun]
        inputs = Inputs(part, tokenise(tokenizer, part, 16), proxies)
        return Labelled(inputs, model_class(params).targets(params, Split(part, inputs, fitted, tokenizer)))

    return Sentences(split("a", rows), split("b", 64), split("c", 48), fitted, tokenizer)


def trained(params: Params, planted: Sentences) -> tuple[TaskModel, list[dict[str, float]]]:
    """Train a fresh model; return it and the allocation of every EM iteration."""
    model = build_model(params, planted.fitted)
    history = Trainer(params, model, planted.train, planted.estimation, digest="planted").run()
    return model, [iteration.weights for iteration in history]


def said(model: TaskModel, planted: Sentences, batch_size: int = 16) -> list[str]:
    """Return what the model writes of the test rows."""
    tokens = predict(model, planted.test.inputs, batch_size)["tokens"]
    return [str(planted.tokenizer.decode(row, skip_special_tokens=True)) for row in tokens]


def right(model: TaskModel, planted: Sentences) -> float:
    """Return the share of the test rows whose sentence is the reference."""
    references = planted.test.inputs.rows.references
    assert references is not None
    found = said(model, planted)
    return float(np.mean([one == group[0] for one, group in zip(found, references, strict=True)]))
