import numpy as np
import pytest

from mase.evaluation.metrics.means import resampled_mean, resampled_ratio

COUNTS = np.array([[1, 1, 1], [0, 3, 0], [2, 0, 1]], dtype=np.uint8)


def test_means_and_ratios_by_hand() -> None:
    scores = np.array([[0.0, 0.5, 1.0], [1.0, 1.0, 0.0]])
    assert resampled_mean(scores, COUNTS) == pytest.approx(
        np.array([[0.5, 2 / 3], [0.5, 1.0], [1 / 3, 2 / 3]])
    )
    found = resampled_ratio(scores, np.array([1.0, 0.0, 3.0]), COUNTS)
    assert found == pytest.approx(np.array([[1.5 / 4, 2 / 4], [0.0, 0.0], [1 / 5, 2 / 5]]))
