"""What a kept model did with one example: allocation, what each modality changed, entities, neighbours.

The allocation z says how much of each modality enters the sum of Eq. 1, the same for every text. It is
no importance: a modality of weight 0.4 may change nothing. So beside z stands what the prediction would
have been without each modality.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mase import seeds
from mase.data import Rows
from mase.errors import DataError
from mase.families import family_of
from mase.identity import task_data
from mase.modalities import Modality
from mase.model.inputs import Inputs
from mase.model.mase import MaseModel
from mase.model.task_model import TaskModel
from mase.params import Params
from mase.prediction import SHARE, model_folder
from mase.pretrained import Pretrained, load_pretrained
from mase.proxies import build_tower
from mase.reading import reading, said
from mase.scenegraph.choice import RULES, parse_function

GONE = 1e-6  # the weight of a modality that is dropped; 0 has no logarithm
NEIGHBOUR_ROWS = 500  # training rows whose entities are candidates for neighbours

ZERO_WEIGHT = "its weight set to 0, the others scaled up"
MEAN_PROXY = "this method uses no z; its proxy replaced by the training rows' mean (0 after standardising)"


@dataclass(frozen=True)
class Answer:
    """A prediction: a label or score, and the probability of each class where there are classes."""

    label: str | float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Dropped:
    """What one modality did to the prediction.

    Attributes:
        weight: z.
        without: the prediction without it; None for a modality that cannot be dropped.
        change: of the predicted label's probability, or of the score, if it is dropped; None where a
            prediction is neither.
        flips: whether the label, or the words of the answer, would have been others.
    """

    modality: Modality
    weight: float
    without: Answer | None
    change: float | None
    flips: bool


@dataclass(frozen=True)
class Entity:
    """An entity of the scene graph; modality -> the training entities nearest to it, with centred cosines."""

    phrase: str
    neighbours: dict[Modality, list[tuple[str, float]]]


@dataclass(frozen=True)
class Explanation:
    """Everything about one example; `how` says how a modality is dropped."""

    texts: tuple[str, ...]
    answer: Answer
    how: str
    modalities: tuple[Dropped, ...]
    entities: tuple[Entity, ...]


def explain(folder: Path, text: str, second: Sequence[str] = (), *, neighbours: int = 0) -> Explanation:
    """Explain what the model in a folder says of one example.

    Args:
        folder: of a unit that keeps its model, or of a saved model.
        second: the second text of a pair task; of multiple choice, every choice.
        neighbours: how many of the nearest training entities to name per entity and tower; the unit's
            training rows are read for them.

    Raises:
        MissingWeightsError: if there is no whole model in the folder.
        DataError: if the task takes another number of texts, or the training rows are not there.
    """
    kept, params = load_pretrained(model_folder(folder))
    rows = _one_row(params, text, second)
    honest = params.model_copy(update={"proxies": params.proxies.model_copy(update={"shuffle": False})})
    with reading(kept, honest, rows) as (seen, inputs):

        def answer() -> Answer:
            return _answer(kept, params, rows, seen, inputs)

        full, places = answer(), range(len(kept.model.modalities))
        found = tuple(_dropped(kept.model, inputs, at, full, answer) for at in places)
    texts, how = (text, *second), ZERO_WEIGHT if isinstance(kept.model, MaseModel) else MEAN_PROXY
    return Explanation(texts, full, how, found, _entities(params, texts, neighbours))


def _one_row(params: Params, text: str, second: Sequence[str]) -> Rows:
    needed = params.second_texts
    if len(second) != needed:
        what = "no second text" if not needed else f"{needed} second text{'s' * (needed > 1)}"
        raise DataError(f"task {params.task.name} takes {what}, not {len(second)}; see --text-b")
    first = (text,) * max(1, needed)
    labels = family_of(params.task).unlabelled(1)
    return Rows(("0",), first, tuple(second) or None, labels, options=params.task.options)


def _answer(kept: Pretrained, params: Params, rows: Rows, seen: Rows, inputs: Inputs) -> Answer:
    _, frame = said(kept, params, rows, seen, inputs)
    return _read_answer(params, frame)


def _read_answer(params: Params, frame: pd.DataFrame) -> Answer:
    line = {str(name): value for name, value in frame.iloc[0].items()}
    labels = params.task.labels
    shares = {label: float(line[f"{SHARE}{k}"]) for k, label in enumerate(labels) if f"{SHARE}{k}" in line}
    said = line["prediction"]
    return Answer(labels[int(said)] if shares else said if isinstance(said, str) else float(said), shares)


def _dropped(
    model: TaskModel, inputs: Inputs, at: int, full: Answer, answer: Callable[[], Answer]
) -> Dropped:
    """Return what the modality at a place does: predict without it, then put it back."""
    modality, weight = model.modalities[at], float(model.allocation[at])
    is_sum = isinstance(model, MaseModel)
    # Span models read their proxies word by word, from a place of their own.
    can = is_sum or (modality in inputs.proxies and model.task.family != "span")
    if len(model.modalities) == 1 or not can:
        return Dropped(modality, weight, None, None, False)
    stored, proxies = model.allocation.clone(), inputs.proxies.get(modality)
    try:
        if is_sum:
            model.allocation.copy_(without(stored, at))
        else:
            inputs.proxies[modality] = np.zeros_like(proxies)
        found = answer()
    finally:
        model.allocation.copy_(stored)
        if proxies is not None:
            inputs.proxies[modality] = proxies
    flips = isinstance(full.label, str) and found.label != full.label
    return Dropped(modality, weight, found, _change(full, found), flips)


def without(allocation: Tensor, at: int) -> Tensor:
    """Return (M,) weights with one modality's as good as 0 and the others scaled to sum to 1."""
    others = allocation.clone()
    others[at] = 0.0
    rest = float(others.sum())
    kept = others / rest if rest > 0 else torch.full_like(others, 1 / (len(others) - 1))
    kept[at] = GONE
    return kept / kept.sum()


def _change(full: Answer, found: Answer) -> float | None:
    if full.probabilities:
        return found.probabilities[str(full.label)] - full.probabilities[str(full.label)]
    if isinstance(full.label, float) and isinstance(found.label, float):
        return found.label - full.label
    return None


def _entities(params: Params, texts: Sequence[str], count: int) -> tuple[Entity, ...]:
    phrases = phrases_of(params, texts)
    proxies: list[Modality] = [m for m in params.modalities if m != "text"]
    if not count or not phrases or not proxies:
        return tuple(Entity(phrase, {}) for phrase in phrases)
    known = training_phrases(params)
    near = {m: nearest(params, m, phrases, known, count) for m in proxies}
    return tuple(Entity(phrase, {m: near[m][i] for m in proxies}) for i, phrase in enumerate(phrases))


def phrases_of(params: Params, texts: Sequence[str]) -> list[str]:
    """Return the phrases of the entities that the run's parser finds, in order, each once."""
    parse = parse_function(params.graph.parser if params.graph is not None else RULES)
    found = zip(texts, parse(list(texts)), strict=True)
    return list(dict.fromkeys(text[e.span[0] : e.span[1]] for text, graph in found for e in graph.entities))


def training_phrases(params: Params) -> list[str]:
    """Return the entities of a sample of the training rows, sorted."""
    rows = task_data(params.task, params.data).train
    order = seeds.numpy_generator(0, "explanation/neighbours").permutation(len(rows))[:NEIGHBOUR_ROWS]
    return sorted({phrase.casefold() for phrase in phrases_of(params, rows.take(order).texts())})


def nearest(
    params: Params, modality: Modality, phrases: Sequence[str], known: Sequence[str], count: int
) -> list[list[tuple[str, float]]]:
    """Return, for each phrase, its nearest known phrases to a modality's tower, itself left out.

    Cosines are around the mean of the known phrases, without which all are close to all.
    """
    tower, prompt = build_tower(params.towers[modality], params.seed), params.towers[modality].entity_prompt
    vectors = tower.encode([prompt.format(phrase) for phrase in known]).astype(np.float64)
    asked = tower.encode([prompt.format(phrase) for phrase in phrases]).astype(np.float64)
    mean = vectors.mean(axis=0)
    vectors, asked = (
        (v - mean) / np.maximum(np.linalg.norm(v - mean, axis=1, keepdims=True), 1e-12)
        for v in (vectors, asked)
    )
    result = []
    for phrase, similarity in zip(phrases, asked @ vectors.T, strict=True):
        ordered = [i for i in np.argsort(-similarity, kind="stable") if known[i] != phrase.casefold()]
        result.append([(known[i], float(similarity[i])) for i in ordered[:count]])
    return result
