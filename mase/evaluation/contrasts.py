"""Every difference that a table reports, all from the same resamples of a task's examples."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mase import seeds
from mase.evaluation.declaration import task_of
from mase.evaluation.evidence import Evidence
from mase.evaluation.resampling import RESAMPLES, difference_draws, example_counts
from mase.evaluation.significance import Comparison, compare, mcnemar_p, sign_flip_p

Draws = tuple[float, np.ndarray]  # the difference, and its bootstrap draws (R,)


@dataclass
class Contrasts:
    """Differences between the rows of one column, on shared bootstrap resamples.

    Columns of one task share their resamples as well, of examples and of seeds.

    Attributes:
        evidence: row label -> what its units predicted.
        resamples: R, bootstrap resamples of the examples.
    """

    column: str
    evidence: dict[str, Evidence]
    resamples: int = RESAMPLES
    _scores: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return task_of(self.column)

    def _counts(self, row: str) -> np.ndarray:
        return example_counts(self.evidence[row].labels.size, self.resamples, self.task)

    def resampled(self, row: str) -> np.ndarray:
        """Return the shown metric of each of the row's seeds on each resample, `(R, S)`."""
        if row not in self._scores:
            found = self.evidence[row]
            self._scores[row] = found.metric.resampled(found.labels, found.predictions, self._counts(row))
        return self._scores[row]

    def comparable(self, first: str, second: str) -> bool:
        """Tell whether both rows have results on the same examples."""
        known = first in self.evidence and second in self.evidence
        return known and self.evidence[first].same_examples(self.evidence[second])

    def draws(self, first: str, second: str) -> Draws:
        """Return the difference of two comparable rows, first minus second, and its draws."""
        a, b = self.evidence[first], self.evidence[second]
        difference = float(np.mean(a.main_scores) - np.mean(b.main_scores))
        generator = seeds.numpy_generator(0, f"bootstrap/seeds/{self.task}/{first}/{second}")
        same = a.seeds == b.seeds
        return difference, difference_draws(
            self.resampled(first), self.resampled(second), same_seeds=same, generator=generator
        )

    def above_constant(self, row: str) -> bool | None:
        """Tell whether a row is above the best constant prediction, with its 95% interval.

        None where nobody knows a constant prediction.
        """
        found = self.evidence[row]
        if found.constant is None or found.chance is None:
            return None
        base = found.metric.resampled(found.labels, found.constant[None], self._counts(row))
        generator = seeds.numpy_generator(0, f"bootstrap/chance/{self.column}/{row}")
        draws = difference_draws(self.resampled(row), base, same_seeds=False, generator=generator)
        return compare(float(np.mean(found.main_scores)) - found.chance, draws).low > 0

    def comparison(self, first: str, second: str) -> Comparison:
        """Compare two comparable rows, with the per-example tests where they apply."""
        a, b = self.evidence[first], self.evidence[second]
        difference, draws = self.draws(first, second)
        per_example = a.metric.per_example
        if per_example is None:
            return compare(difference, draws)
        first_scores, second_scores = (per_example(e.labels, e.predictions) for e in (a, b))
        generator = seeds.numpy_generator(0, f"sign-flip/{self.column}/{first}/{second}")
        flip = sign_flip_p(first_scores.mean(axis=0) - second_scores.mean(axis=0), generator)
        one_seed = len(a.seeds) == len(b.seeds) == 1
        right_or_wrong = all(np.isin(scores, (0, 1)).all() for scores in (first_scores, second_scores))
        applies = one_seed and right_or_wrong
        exact = mcnemar_p(first_scores[0] > 0, second_scores[0] > 0) if applies else None
        return compare(difference, draws, sign_flip=flip, mcnemar=exact)


def averaged(draws: Sequence[Draws]) -> Draws:
    """Return the mean of differences over columns; those of different tasks are resampled independently."""
    return float(np.mean([d for d, _ in draws])), np.mean([values for _, values in draws], axis=0)
