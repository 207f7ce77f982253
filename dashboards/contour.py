"""Scores between the trials of a study, for a picture."""

import numpy as np
import pandas as pd

GRID = 40  # cells on each side
NEAREST = 1e-4  # keeps the weight of a trial finite where it lies on a cell's middle


def between(trials: pd.DataFrame) -> pd.DataFrame:
    """Return cells `x, x2, y, y2, score` that cover the trials, each with their mean score by nearness.

    The weight of a trial is 1 / distance squared, over the logarithms of both params scaled to their range.

    Args:
        trials: `x, y, score`; x and y positive.
    """
    places = np.log(trials[["x", "y"]].to_numpy(dtype=float))
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-9)
    middles = (np.arange(GRID) + 0.5) / GRID
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    distances = ((grid[:, None] - (places - low) / span) ** 2).sum(axis=2)  # (cells, trials)
    weights = 1 / (distances + NEAREST)
    scores = weights @ trials["score"].to_numpy(dtype=float) / weights.sum(axis=1)
    left, right = (np.exp(low + span * (grid + side / 2 / GRID)) for side in (-1, 1))
    return pd.DataFrame(
        {"x": left[:, 0], "x2": right[:, 0], "y": left[:, 1], "y2": right[:, 1], "score": scores}
    )
