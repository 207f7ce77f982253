"""Voken pre-training of a backbone on captions, and its control: the same batches without vokens.

    L = CE_voken (all tokens of words) + CE_mlm (hidden tokens)
    voken head: Linear(W, W), GELU, LayerNorm, Linear(W, V)

15% of the tokens are hidden (80% [MASK], 10% another token, 10% as they are). The original trains 200,000
steps on Wikipedia from scratch; this goes on from a checkpoint for minutes. What is written is a Hugging Face
folder with the masked-word head, without the voken head, and a `backbone.yaml` for `--backbone`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mase import seeds
from mase.artifacts import write_atomically, write_json
from mase.baselines.voken.corpus import Corpus, as_read, corpus_of, hidden_tokens
from mase.baselines.voken.vokens import Captions, VokenTable
from mase.errors import ParamsError, TrainingError
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.hidden_words import IGNORED, check_mask_token
from mase.model.word_head import PretrainedWordHead, WordHead
from mase.params import BackboneParams
from mase.proxies.tower import Tower

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """Sizes and schedule."""

    epochs: int = 1
    batch_size: int = 32
    rate: float = 1e-4
    warm_up: float = 0.1
    hidden_share: float = 0.15
    max_length: int = 40


class VokenHead(nn.Module):
    """Linear(W, W), GELU, LayerNorm, Linear(W, V)."""

    def __init__(self, width: int, vokens: int):
        super().__init__()
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.decoder = nn.Linear(width, vokens)

    def forward(self, states: Float[Tensor, "K W"]) -> Float[Tensor, "K V"]:
        """Return logits over the vokens."""
        return self.decoder(self.transform(states))


@dataclass(frozen=True)
class Pretrained:
    """A backbone after pre-training, its masked-word head, and mean losses of the first and last steps."""

    backbone: Backbone
    words: WordHead
    losses: dict[str, tuple[float, float]]
    steps: int


def pretrain(
    params: BackboneParams,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    *,
    seed: int,
    vokens: bool,
    progress: Progress = lambda _done, _total: None,
) -> Pretrained:
    """Train a backbone; `vokens: False` is the control, with the same first weights, batches and blanks.

    Raises:
        ParamsError: if the backbone's family has no head for hidden words, or parts of it are frozen.
        TrainingError: if the loss is no longer finite.
    """
    if params.freeze_layers or params.adapter != "none":
        raise ParamsError(
            "voken pre-training trains the whole backbone; set freeze_layers to 0, adapter to none"
        )
    check_mask_token(tokenizer, params.name)
    seeds.seed_everything(seeds.derive(seed, "voken/initialisation"))
    backbone = Backbone(params)
    words, images = WordHead(backbone.width, backbone), VokenHead(backbone.width, corpus.count)
    if not isinstance(words.words, PretrainedWordHead):
        raise ParamsError(f"backbone {params.name}: its family has no model for hidden words")
    model = nn.ModuleDict({"backbone": backbone, "words": words, "images": images}).train()
    batches = _batches(len(corpus.tokens), recipe, seed)
    adam = torch.optim.AdamW(model.parameters(), lr=recipe.rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, _rate(len(batches), recipe.warm_up))
    seeds.seed_everything(seeds.derive(seed, "voken/training"))
    generator = seeds.numpy_generator(seed, "voken/hidden tokens")
    history: dict[str, list[float]] = {"mlm": [], "voken": []}
    for step, rows in enumerate(batches):
        losses = step_losses(backbone, words, images, corpus, rows, tokenizer, recipe, generator)
        loss = losses["mlm"] + losses["voken"] if vokens else losses["mlm"]
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"the loss became {loss.item()}; lower the learning rate")
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        schedule.step()
        for name, value in losses.items():
            history[name].append(value.item())
        progress(step + 1, len(batches))
    few = max(1, len(batches) // 10)
    found = {n: (float(np.mean(v[:few])), float(np.mean(v[-few:]))) for n, v in history.items()}
    return Pretrained(backbone.eval(), words.eval(), found, len(batches))


def step_losses(
    backbone: Backbone,
    words: WordHead,
    images: VokenHead,
    corpus: Corpus,
    rows: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    generator: np.random.Generator,
) -> dict[str, Tensor]:
    """Return CE_mlm and CE_voken of a batch, in nats."""
    ids, mask, types = corpus.tokens.pad(rows)
    targets = corpus.targets(rows, ids.shape[1])
    special = torch.from_numpy(np.isin(ids.numpy(), tokenizer.all_special_ids)) | ~mask
    hidden = hidden_tokens(special, recipe.hidden_share, generator)
    states, _ = backbone(as_read(ids, hidden, tokenizer, generator), mask, types)
    known = targets != IGNORED
    return {
        "mlm": functional.cross_entropy(words(states[hidden]), ids[hidden]),
        "voken": functional.cross_entropy(images(states[known]), targets[known]),
    }


def _batches(count: int, recipe: Recipe, seed: int) -> list[np.ndarray]:
    result = []
    for epoch in range(recipe.epochs):
        order = seeds.numpy_generator(seed, f"voken/epoch/{epoch}").permutation(count)
        result += [order[i : i + recipe.batch_size] for i in range(0, count, recipe.batch_size)]
    return result


def _rate(total: int, warm_up: float) -> Callable[[int], float]:
    first = max(1, round(warm_up * total))
    return lambda step: min((step + 1) / first, max(0.0, (total - step) / max(1, total - first)))


def save(
    found: Pretrained,
    params: BackboneParams,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    card: dict[str, Any],
) -> None:
    """Write a Hugging Face folder, `voken.json` on how it came about, and `backbone.yaml`, the last."""
    assert isinstance(found.words.words, PretrainedWordHead)
    model = found.words.words.model
    setattr(model, model.base_model_prefix, found.backbone.encoder)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    losses = {name: {"first": first, "last": last} for name, (first, last) in found.losses.items()}
    write_json(folder / "voken.json", {**card, "steps": found.steps, "losses": losses})
    settings = {
        "name": f"{params.name}-{folder.name}",
        "source": "path",
        "ref": str(folder.absolute()),
        "pooling": params.pooling,
        "max_length": params.max_length,
    }
    write_atomically(folder / "backbone.yaml", yaml.safe_dump(settings, sort_keys=False))


def pretrain_and_save(
    params: BackboneParams,
    captions: Captions,
    tower: Tower,
    table: VokenTable,
    out: Path,
    *,
    recipe: Recipe,
    seed: int,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> dict[str, Path]:
    """Train with vokens and, with the same batches, without; return the folders `vokens` and `control`."""
    tokenizer = load_tokenizer(params)
    corpus = corpus_of(captions, tower, table, tokenizer, recipe.max_length)
    folders = {}
    for name in ("vokens", "control"):
        found = pretrain(
            params,
            corpus,
            tokenizer,
            recipe,
            seed=seed,
            vokens=name == "vokens",
            progress=lambda done, total, name=name: progress(name, done, total),
        )
        card = {
            "backbone": params.name,
            "vokens": corpus.count if name == "vokens" else 0,
            "table": "captions stand in for pictures" if table.stand_in else "image vectors of the user",
            "tower": {"name": tower.name, "digest": tower.digest},
            "captions": len(captions.texts),
            "seed": seed,
            "recipe": asdict(recipe),
        }
        folders[name] = out / name
        save(found, params, tokenizer, folders[name], card)
    return folders
