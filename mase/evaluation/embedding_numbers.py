"""The numbers of Figure 5: the measures of `embedding` over a row's seeds, each with an interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from mase import seeds
from mase.evaluation.embedding import (
    Features,
    class_silhouettes,
    classes_told_apart,
    comparable,
    exchanged_gap,
    gap,
    has_classes,
    silhouettes,
    told_apart,
)
from mase.evaluation.metrics.means import resampled_mean
from mase.evaluation.metrics.metric import weighted_sums
from mase.evaluation.resampling import example_counts, seed_weights
from mase.modalities import MODALITIES, Modality

RESAMPLES = 1000
Z95 = 1.96

Part = Literal["modality", "class"]


@dataclass(frozen=True)
class Number:
    """One measured number of a row of a table on a task, over its seeds.

    Attributes:
        by: what is told apart: modalities or classes.
        space: where; "together" for classes.
        measure: silhouette, gap or separability.
        pair: the two modalities of a gap; empty for a number over all.
        low, high: 95% interval, 1.96 bootstrap standard errors over texts and seeds.
        chance: what no difference would give: 0, the gap of exchanged modalities, the largest share.
    """

    by: Part
    space: str
    measure: str
    pair: str
    value: float
    low: float
    high: float
    chance: float
    texts: int
    seeds: int


def gap_draws(
    points: Float[np.ndarray, "M n D"], counts: np.ndarray, first: int, second: int
) -> Float[np.ndarray, "R"]:
    """Return the gap on each resample of the texts, `counts` (R, n)."""
    differences = points[first] - points[second]
    return np.linalg.norm(weighted_sums(counts, differences) / len(differences), axis=1)


def _number(
    by: Part,
    space: str,
    measure: str,
    pair: str,
    values: Sequence[float],
    draws: Sequence[np.ndarray],
    texts: int,
    chance: float,
    bounds: tuple[float, float],
) -> Number:
    """Join seeds: the mean, and an interval over texts (the same of every seed) and seeds."""
    generator = seeds.numpy_generator(0, f"embedding/seeds/{by}/{space}/{measure}/{pair}")
    stacked = np.stack(draws, axis=1)  # (R, S)
    joined = (seed_weights(stacked.shape[1], len(stacked), generator) * stacked).sum(axis=1)
    value, error = float(np.mean(values)), float(joined.std())
    low, high = (float(np.clip(value + side * Z95 * error, *bounds)) for side in (-1, 1))
    return Number(by, space, measure, pair, value, low, high, chance, texts, len(values))


def modality_numbers(found: Sequence[Features], resamples: int = RESAMPLES) -> list[Number]:
    """Measure how far apart the modalities are, in every space that a model has.

    Args:
        found: one per seed, of the same texts in the same order.

    Returns:
        Per space: silhouette, separability, the gap of each pair, and the mean gap; none for a
        model of one modality.
    """
    if len(found[0].modalities) < 2:
        return []
    counts = example_counts(len(found[0]), resamples, "embedding")
    present: list[Modality] = [m for m in MODALITIES if m in found[0].modalities]
    return [
        number
        for space in found[0].spaces()
        for number in _space_numbers(space, present, [comparable(f, space) for f in found], counts)
    ]


def _space_numbers(
    space: str, present: Sequence[Modality], points: Sequence[np.ndarray], counts: np.ndarray
) -> list[Number]:
    modalities, texts = points[0].shape[:2]
    numbers = [
        _of_texts("modality", space, "silhouette", [silhouettes(p) for p in points], counts, 0.0, (-1, 1)),
        _of_texts(
            "modality", space, "separability", [told_apart(p) for p in points], counts, 1 / modalities, (0, 1)
        ),
    ]
    pairs = list(combinations(range(modalities), 2))
    values = {pair: [gap(p, *pair) for p in points] for pair in pairs}
    draws = {pair: [gap_draws(p, counts, *pair) for p in points] for pair in pairs}
    floors = {pair: float(np.mean([exchanged_gap(p, *pair) for p in points])) for pair in pairs}
    for pair in pairs:
        name = f"{present[pair[0]]}/{present[pair[1]]}"
        numbers.append(
            _number("modality", space, "gap", name, values[pair], draws[pair], texts, floors[pair], (0, 2))
        )
    mean = np.mean([values[pair] for pair in pairs], axis=0)
    mean_draws = list(np.mean([draws[pair] for pair in pairs], axis=0))
    floor = float(np.mean(list(floors.values())))
    numbers.append(_number("modality", space, "gap", "mean", mean.tolist(), mean_draws, texts, floor, (0, 2)))
    return numbers


def _of_texts(
    by: Part,
    space: str,
    measure: str,
    per_text: Sequence[np.ndarray],
    counts: np.ndarray,
    chance: float,
    bounds: tuple[float, float],
) -> Number:
    """Return a number that is a mean over texts; `per_text` has (n,) values per seed."""
    draws = list(resampled_mean(np.stack(per_text), counts).T)
    means = [float(values.mean()) for values in per_text]
    return _number(by, space, measure, "", means, draws, len(per_text[0]), chance, bounds)


def class_numbers(found: Sequence[Features], resamples: int = RESAMPLES) -> list[Number]:
    """Measure how far apart the classes are in what the head reads; none for a task without classes."""
    classes = found[0].classes
    if classes is None or not has_classes(found[0]):
        return []
    counts = example_counts(len(found[0]), resamples, "embedding")
    largest = float(np.unique(classes, return_counts=True)[1].max() / len(classes))
    measures: list[tuple[str, Callable[..., np.ndarray], float, tuple[float, float]]] = [
        ("silhouette", class_silhouettes, 0.0, (-1, 1)),
        ("separability", classes_told_apart, largest, (0, 1)),
    ]
    return [
        _of_texts("class", "together", name, [of(f.together, classes) for f in found], counts, chance, bounds)
        for name, of, chance, bounds in measures
    ]


def numbers_frame(numbers: Mapping[tuple[str, str], Sequence[Number]]) -> pd.DataFrame:
    """Return numbers as a table: task, row, then the fields of `Number`. Keys are (task, row)."""
    records = [
        {"task": task, "row": row, **n.__dict__} for (task, row), found in numbers.items() for n in found
    ]
    return pd.DataFrame.from_records(records)
