"""Where a difference lies: the same comparison on parts of the examples.

Parts are by label, kind, length and number of entities. With many parts some interval is away from 0
by chance: they are not adjusted for how many there are, and are for forming a guess, not for a claim.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from mase import seeds
from mase.evaluation.evidence import Evidence
from mase.evaluation.metrics.means import resampled_mean
from mase.evaluation.resampling import difference_draws, example_counts
from mase.evaluation.significance import compare
from mase.params import Params
from mase.scenegraph.choice import RULES, parse_function

if TYPE_CHECKING:
    from mase.evaluation.flips import Example

RESAMPLES = 2000
FEWEST = 10  # examples that an interval is given for
MANY = 3  # entities from which on they are counted together
MOST_LABELS = 12


@dataclass(frozen=True)
class Slice:
    """A part of the examples.

    Attributes:
        first, second: mean scores of the two models; difference: second minus first.
        low, high: 95% interval, a paired bootstrap over examples and seeds; None for fewer than ten.
    """

    by: str
    name: str
    examples: int
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None


def slices_of(
    evidence: Evidence,
    examples: Sequence["Example"],
    first: Float[np.ndarray, "S n"],
    second: Float[np.ndarray, "S n"],
    *,
    same_seeds: bool,
) -> tuple[Slice, ...]:
    """Compare scores of examples (per seed) on every part that has examples.

    Args:
        evidence: of the first model, for the task and labels.
        same_seeds: whether the seeds of both are the same, and so are resampled together.
    """
    found = []
    for by, names in _parts(evidence, examples):
        for name in _in_order(names):
            chosen = np.flatnonzero(np.asarray(names) == name)
            purpose = f"{evidence.task.name}/{by}/{name}"
            found.append(
                _slice(by, name, purpose, first[:, chosen], second[:, chosen], same_seeds=same_seeds)
            )
    return tuple(found)


def _slice(
    by: str, name: str, purpose: str, first: np.ndarray, second: np.ndarray, *, same_seeds: bool
) -> Slice:
    count = first.shape[1]
    difference = float(second.mean() - first.mean())
    low = high = None
    if count >= FEWEST:
        counts = example_counts(count, RESAMPLES, f"slices/{purpose}")
        draws = difference_draws(
            resampled_mean(second, counts),
            resampled_mean(first, counts),
            same_seeds=same_seeds,
            generator=seeds.numpy_generator(0, f"slices/seeds/{purpose}"),
        )
        found = compare(difference, draws)
        low, high = found.low, found.high
    return Slice(by, name, count, float(first.mean()), float(second.mean()), difference, low, high)


def _parts(evidence: Evidence, examples: Sequence["Example"]) -> Iterator[tuple[str, list[str]]]:
    """Yield what examples are parted by, and the part of each."""
    labels = [example.label for example in examples]
    if evidence.task.family == "regression":
        yield "label", _thirds(evidence.labels, "{:g}")
    elif evidence.task.options == 1 and 1 < len(set(labels)) <= MOST_LABELS:
        yield "label", labels  # the position of the right choice would say nothing
    kinds = [example.stratum for example in examples]
    if 1 < len(set(kinds)) <= MOST_LABELS and kinds != labels:
        yield "kind", kinds
    words = np.array([sum(len(text.split()) for text in example.texts) for example in examples])
    yield "words", _thirds(words, "{:g}")
    yield "entities", entity_counts(evidence.params, examples)


def _thirds(values: np.ndarray, form: str) -> list[str]:
    """Return the third of each value by its bounds; fewer parts where values repeat."""
    bounds = np.unique(np.quantile(values, [0, 1 / 3, 2 / 3], method="lower"))
    place = np.searchsorted(bounds, values, side="right") - 1
    names = []
    for at in range(len(bounds)):
        mine = values[place == at]
        low, high = form.format(mine.min()), form.format(mine.max())
        names.append(low if low == high else f"{low} to {high}")
    return [names[at] for at in place]


def entity_counts(params: Params, examples: Sequence["Example"]) -> list[str]:
    """Return how many entities the run's parser finds in each example's texts: "0", "1", "2", "3 or more"."""
    parse = parse_function(params.graph.parser if params.graph is not None else RULES)
    texts = sorted({text for example in examples for text in example.texts})
    found = {text: len(graph.entities) for text, graph in zip(texts, parse(texts), strict=True)}
    counts = [sum(found[text] for text in example.texts) for example in examples]
    return [str(count) if count < MANY else f"{MANY} or more" for count in counts]


def _in_order(names: Sequence[str]) -> list[str]:
    """Return the parts by the number that their names begin with, or by name."""

    def key(name: str) -> tuple[float, str]:
        first = name.split(" ")[0]
        try:
            return float(first), name
        except ValueError:
            return float("inf"), name

    return sorted(set(names), key=key)
