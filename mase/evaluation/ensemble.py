"""A row that trains nothing: the mean of what several seeds of another row predict.

Two text-only models are what any extra encoder has to beat: the ensemble has as many parameters again and
reads nothing but the text. Of a class the probabilities are averaged, of a score the scores.
"""

from collections.abc import Sequence

import pandas as pd

from mase.params import TaskParams

AVERAGED = ("classification", "regression", "multiple_choice")  # families whose predictions have a mean
SHARE = "probability_"


def members(seeds: Sequence[int], size: int) -> dict[int, tuple[int, ...]]:
    """Return the seeds that each seed's ensemble is made of: itself and those that follow, the last ones
    followed by the first; none where there are fewer than `size`.

    Neighbouring ensembles share models, so they differ less than independent ones would.
    """
    if len(seeds) < size:
        return {}
    return {
        seed: tuple(seeds[(place + step) % len(seeds)] for step in range(size))
        for place, seed in enumerate(seeds)
    }


def why_none(task: TaskParams, seeds: int, size: int) -> str:
    """Return why there is no ensemble of `size` models of `seeds` seeds; empty if there is, or size is 1."""
    if size == 1:
        return ""
    if task.family not in AVERAGED:
        return f"not available (an ensemble is of probabilities or scores; {task.name} is {task.family})"
    return "" if seeds >= size else f"needs {size} seeds"


def averaged(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean of predictions of the same examples in the same order: id, label, prediction, shares.

    The prediction is the class with the largest mean share, the first of equal ones, or the mean score.
    A single frame is returned as it is.
    """
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    shares = [name for name in map(str, first) if name.startswith(SHARE)]
    means = {name: sum(frame[name] for frame in frames) / len(frames) for name in shares or ["prediction"]}
    found = first[["id", "label"]].assign(**means)
    if shares:
        classes = [int(name.removeprefix(SHARE)) for name in shares]
        best = found[shares].to_numpy().argmax(axis=1)
        found = found.assign(prediction=[classes[place] for place in best])
    return found
