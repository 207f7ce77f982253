"""Train a small text tower: positives against the batch, and for the image tower CLIP's vectors.

Single thread and seeded, so that one machine gives the same weights every time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mase import seeds
from mase.errors import TrainingError
from mase.params import TowerParams
from mase.proxies.clip_text import ClipTextTransformer, random_weights
from mase.proxies.tokenizer import ClipTokenizer
from mase.proxies.tower import padded
from mase.proxies.training.losses import distillation, relational_distillation, symmetric_contrastive
from mase.proxies.training.positives import PairSampler
from mase.proxies.training.recipes import Corpus, Recipe
from mase.proxies.training.targets import Targets
from mase.proxies.training.views import Rows
from mase.proxies.training.vocabulary import choose_vocabulary

CONTEXT_LENGTH = 77
RELATIONAL = 10.0  # weight of the relational term against the cosine to the targets
TOKEN_GAIN, POSITION_GAIN = 10.0, 0.1  # on CLIP's initial scales: at first words count, places do not

Progress = Callable[[int, int, float], None]  # step, steps, loss


@dataclass(frozen=True)
class TrainedTower:
    """Weights of a trained tower, float32, the BPE ids of its vocabulary, and the last loss."""

    params: TowerParams
    weights: dict[str, Tensor]
    kept: list[int]
    loss: float


@contextmanager
def _single_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def tower_params(recipe: Recipe, rows: int) -> TowerParams:
    """Return the params of the tower that a recipe trains."""
    name = f"trained-{recipe.modality}"
    return TowerParams(
        name=name,
        modality=recipe.modality,
        format="openai",
        ref=f"mase/proxies/weights/{name}.safetensors",
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        output_width=recipe.width,
        context_length=CONTEXT_LENGTH,
        vocabulary=rows,
        stand_in=True,
    )


def initial_module(params: TowerParams, seed: int) -> ClipTextTransformer:
    """Return a trainable tower that begins as an average of its words."""
    module = ClipTextTransformer(params)
    module.load_state_dict(random_weights(params, seed))
    with torch.no_grad():
        module.token_embedding.weight.mul_(TOKEN_GAIN)
        module.positional_embedding.mul_(POSITION_GAIN)
    return module


class NameSampler:
    """Draws names and the vectors that they are pulled to."""

    def __init__(
        self, targets: Targets, recipe: Recipe, tokenizer: ClipTokenizer, generator: np.random.Generator
    ) -> None:
        self._parts = [
            (self._rows(targets.names, tokenizer), targets.vectors, recipe.distilled),
            (self._rows(targets.guessed_names, tokenizer), targets.guessed_vectors, recipe.guessed),
        ]
        self._generator = generator

    @staticmethod
    def _rows(names: Sequence[str], tokenizer: ClipTokenizer) -> list[tuple[Rows, Rows]]:
        """Return each name as CLIP read it, "a ...", and bare."""
        return [(tuple(tokenizer.encode(f"a {n}")[0]), tuple(tokenizer.encode(n)[0])) for n in names]

    def draw(self) -> tuple[list[Rows], Tensor]:
        """Return the token rows of some names, and their targets."""
        rows: list[Rows] = []
        wanted: list[np.ndarray] = []
        for names, vectors, count in self._parts:
            chosen = self._generator.choice(len(names), size=min(count, len(names)), replace=False)
            rows += [names[index][self._generator.integers(2)] for index in chosen]
            wanted.append(vectors[chosen])
        return rows, torch.from_numpy(np.concatenate(wanted))


def rate(step: int, recipe: Recipe) -> float:
    """Return the share of the peak learning rate: a linear rise, then half a cosine."""
    rise = min(1.0, (step + 1) / recipe.warm_up)
    return rise * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _optimiser(module: ClipTextTransformer, head: nn.Parameter, recipe: Recipe) -> torch.optim.Adam:
    others = [value for name, value in module.named_parameters() if name != "token_embedding.weight"]
    groups = [
        {"params": [module.token_embedding.weight], "lr": recipe.embedding_rate},
        {"params": [*others, head], "lr": recipe.other_rate},
    ]
    return torch.optim.Adam(groups)


def train_tower(
    corpus: Corpus, recipe: Recipe, *, seed: int = 0, progress: Progress | None = None
) -> TrainedTower:
    """Train a tower.

    Args:
        corpus: what it sees.
        recipe: sizes and schedule.
        seed: initial weights and every draw come from it.
        progress: called after every step.

    Raises:
        TrainingError: if the loss is no longer finite.
    """
    kept = choose_vocabulary(corpus.texts(), recipe.rows, least=recipe.least)
    params = tower_params(recipe, len(kept))
    tokenizer = ClipTokenizer(CONTEXT_LENGTH, kept)
    pairs = PairSampler(corpus.sources, tokenizer, seeds.numpy_generator(seed, "towers/pairs"))
    names = None
    if corpus.targets and recipe.distil_weight:
        draws = seeds.numpy_generator(seed, "towers/names")
        names = NameSampler(corpus.targets, recipe, tokenizer, draws)
    module = initial_module(params, seed)
    target_width = corpus.targets.vectors.shape[1] if corpus.targets else 1
    draw = seeds.torch_generator(seed, "towers/head")
    head = nn.Parameter(torch.randn(target_width, recipe.width, generator=draw) * recipe.width**-0.5)
    optimiser = _optimiser(module, head, recipe)
    peaks = [group["lr"] for group in optimiser.param_groups]
    loss = torch.tensor(math.nan)
    with _single_thread():
        for step in range(recipe.steps):
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * rate(step, recipe)
            loss = _pair_loss(module, pairs, recipe)
            if names is not None:
                loss = loss + recipe.distil_weight * _name_loss(module, head, names)
            if not torch.isfinite(loss):
                raise TrainingError(f"tower {params.name}: the loss is {loss.item()} at step {step + 1}")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if progress is not None:
                progress(step + 1, recipe.steps, loss.item())
    weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
    return TrainedTower(params, weights, kept, loss.item())


def _pair_loss(module: ClipTextTransformer, pairs: PairSampler, recipe: Recipe) -> Tensor:
    batch = pairs.draw()
    vectors = module(*padded([*batch.first, *batch.second]))
    first, second = vectors.chunk(2)
    return symmetric_contrastive(first, second, recipe.temperature, torch.from_numpy(batch.same))


def _name_loss(module: ClipTextTransformer, head: nn.Parameter, names: NameSampler) -> Tensor:
    rows, wanted = names.draw()
    vectors = module(*padded(rows))
    return distillation(vectors @ head.T, wanted) + RELATIONAL * relational_distillation(vectors, wanted)
