"""Tiny checkpoints with pre-trained heads, as Hugging Face saves them, and runs on planted rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, BertForPreTraining, RobertaForMaskedLM

from mase.data import Rows
from mase.em.estep import Labelled
from mase.methods import model_class
from mase.model.backbone import load_tokenizer
from mase.model.features import Standardiser
from mase.model.inputs import Inputs
from mase.model.preparation import Fitted
from mase.model.tokens import tokenise
from mase.params import BackboneParams, Params, load_params
from tests.planted import WIDTH, Planted
from tests.tiny_backbones import save_checkpoint

WORDS = ("a", "r")  # letters are tokens of both tiny vocabularies
NSP = {"first": "{label} is what it is", "second": "{a}", "words": WORDS}
MLM = {"first": "{a}", "second": "it is [MASK] here", "words": WORDS}
PAIR_MLM = {"first": "{a}", "second": "[MASK] {b}", "words": WORDS}
PAIR_NSP = {"first": "{a}", "second": "{label} {b}", "words": WORDS}


def with_head(family: str, folder: Path) -> tuple[BackboneParams, Any]:
    """Write a tiny checkpoint with all heads that its authors release; return its params and the model."""
    params = save_checkpoint(family, folder)
    torch.manual_seed(1)
    kind = {"bert": BertForPreTraining, "roberta": RobertaForMaskedLM}[family]
    model = kind(AutoConfig.from_pretrained(folder))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return params, model.eval()


def prompt_params(backbone: BackboneParams, method: str, prompt: dict[str, Any], *overrides: str) -> Params:
    """Return smoke params of a prompted method on a tiny checkpoint."""
    kind = "mlm" if "[MASK]" in prompt["first"] + prompt["second"] else "nsp"
    name = f"{method}_prompt".removeprefix("text_") + ("_nsp" if kind == "nsp" else "")
    fast = ("graph=null", "training.lr_new=0.01", "training.lr_backbone=0.003", "training.epochs=6")
    params = load_params(
        "looks", profile="smoke", overlays=(f"methods/{name}",), overrides=(*fast, *overrides)
    )
    content = params.model_dump() | {"backbone": backbone.model_dump(), "prompt": {kind: prompt}}
    return Params.model_validate(content)


def plant_prompts(
    params: Params,
    text_of: Callable[[int, np.random.Generator], str],
    *,
    informative: str | None = None,
    rows: int = 96,
    seconds: bool = False,
) -> Planted:
    """Return splits of prompted rows with texts `text_of(label, generator)`; a proxy may tell the label."""
    generator, kind = np.random.default_rng(0), model_class(params)
    tokenizer = load_tokenizer(params.backbone)

    def split(name: str, count: int) -> Labelled:
        labels = generator.integers(0, 2, count)
        texts = tuple(text_of(int(label), generator) for label in labels)
        second = tuple(text_of(0, generator) for _ in labels) if seconds else None
        part = Rows(tuple(f"{name}{i}" for i in range(count)), texts, second, labels)
        seen = kind.rows(params, part, tokenizer)
        proxies = {m: _proxies(generator, labels, m == informative) for m in params.modalities if m != "text"}
        proxies = {m: np.repeat(v, seen.options, axis=0) for m, v in proxies.items()}
        same = kind.for_negatives(params, seen)
        inputs = Inputs(seen, tokenise(tokenizer, seen, 24), proxies, same=same)
        return Labelled(inputs, torch.from_numpy(labels))

    identity = Standardiser(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))
    fitted = Fitted(None, {m: identity for m in params.modalities if m != "text"}, {})
    return Planted(split("a", rows), split("b", 40), split("c", 100), fitted)


def _proxies(generator: np.random.Generator, labels: np.ndarray, informative: bool) -> np.ndarray:
    features = generator.normal(size=(len(labels), WIDTH))
    if informative:
        features[:, 0] += 3 * (labels - 0.5)
    return features.astype(np.float32)


def regression(params: Params) -> Params:
    """Return the params for a score between 1 and 3 instead of a class."""
    task = params.task.model_copy(
        update={"family": "regression", "labels": (), "label_range": (1.0, 3.0), "metrics": ("pearson",)}
    )
    return params.model_copy(update={"task": task})


def in_order(part: Labelled, order: np.ndarray) -> Inputs:
    """Return a split's inputs with its rows in another order."""
    rows = part.inputs.rows
    texts = rows.text_rows(order)
    tokens = part.inputs.tokens
    assert tokens is not None
    moved = [np.arange(tokens.pointer[i], tokens.pointer[i + 1]) for i in texts]
    flat = np.concatenate(moved)
    shuffled = replace(
        tokens,
        pointer=np.concatenate([[0], np.cumsum([len(m) for m in moved])]),
        **{name: getattr(tokens, name)[flat] for name in ("ids", "types", "segment", "start", "end")},
    )
    return Inputs(rows.take(order), shuffled, {m: v[texts] for m, v in part.inputs.proxies.items()})
