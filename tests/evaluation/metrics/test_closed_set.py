import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mase.evaluation.metrics.closed_set import closed_set_scores, distribution_spearman, size_rank_accuracy

# Two templates, three items, three labels; gold 0, 0, 2.
SCORES = np.array(
    [
        [[3.0, 1, 2], [1, 3, 2], [1, 2, 3]],
        [[1.0, 4, 2], [2, 1, 1], [3, 2, 1]],
    ]
)
GOLD = np.array([0, 0, 2])


def test_a_probe_by_hand() -> None:
    scores = closed_set_scores(SCORES, GOLD)
    assert scores.per_template() == pytest.approx([2 / 3, 1 / 3])
    assert scores.per_example() == pytest.approx([1 / 2, 1 / 2, 1 / 2])
    assert scores.values() == {
        "mean": pytest.approx(1 / 2),
        "sd": pytest.approx(np.std([2 / 3, 1 / 3], ddof=1)),
        "best": pytest.approx(2 / 3),
        "any": 1.0,
        "ensemble": 0.0,  # the averages are highest at 1, 1 and, of equal ones the first, 0
        "majority": pytest.approx(2 / 3),
        "chance": pytest.approx(1 / 3),
    }


def test_one_template_has_no_spread() -> None:
    values = closed_set_scores(SCORES[:1], GOLD).values()
    assert (values["sd"], values["mean"], values["best"]) == (0.0, pytest.approx(2 / 3), values["mean"])


def test_resamples_weight_the_items() -> None:
    scores = closed_set_scores(SCORES, np.array([0, 1, 0]))
    assert scores.per_example() == pytest.approx([0.5, 0.5, 0.5])
    uneven = closed_set_scores(SCORES, np.array([0, 2, 1]))
    assert uneven.per_example() == pytest.approx([0.5, 0.0, 0.0])
    counts = np.array([[1, 1, 1], [3, 0, 0]], dtype=np.uint8)
    assert uneven.resampled(counts) == pytest.approx([1 / 6, 1 / 2])


@pytest.mark.parametrize(
    ("scores", "gold", "message"),
    [
        (SCORES[0], GOLD, "templates, items, labels"),
        (SCORES, GOLD[:2], "templates, items, labels"),
        (SCORES, np.array([0, 0, 3]), "0..2, got 0..3"),
        (np.where(SCORES == 4, np.nan, SCORES), GOLD, "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, gold: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        closed_set_scores(scores, gold)


def test_majority_of_the_paper_probes(shared_data: Path) -> None:
    rows = (shared_data / "object_shape" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    names, gold = np.unique([json.loads(row)["obj"] for row in rows], return_inverse=True)
    zeros = np.zeros((1, gold.size, 12))
    values = closed_set_scores(zeros, gold).values()
    assert names.size <= 12
    assert (values["majority"], values["chance"]) == (pytest.approx(103 / 140), pytest.approx(1 / 12))


def test_distribution_spearman_by_hand() -> None:
    counts = np.array([[10.0, 5, 1], [10, 5, 1], [3, 3, 3], [5, 5, 1]])
    scores = np.array([[0.2, 0.1, 0.0], [-3.0, -2.0, -1.0], [1, 2, 3], [9, 8, 7]])
    found = distribution_spearman(scores, counts)
    tied = stats.spearmanr([9, 8, 7], [5, 5, 1])[0]
    assert found == pytest.approx([1.0, -1.0, 0.0, tied])
    assert 0.8 < tied < 0.9


def test_distribution_spearman_tells_tiny_scores_apart() -> None:
    assert distribution_spearman(np.array([[1e-9, 2e-9, 3e-9]]), np.array([[1.0, 2, 3]])) == pytest.approx(
        [1]
    )


def test_distribution_spearman_is_one_for_the_mined_counts_themselves(shared_data: Path) -> None:
    mined = json.loads((shared_data / "vicomte" / "distributions" / "color-dist.jsonl").read_text())
    counts = np.array(list(mined.values()), dtype=np.float64)
    found = distribution_spearman(np.log1p(counts), counts)
    assert counts.shape[1] == 12
    assert found[counts.std(axis=1) > 0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two equal"):
        distribution_spearman(counts, counts[:, :11])


def test_size_ranks_by_hand() -> None:
    answers = np.array([[True, True, False, False, False]] * 3)
    others = np.array([[False, False, True, True, False]] * 3)
    scores = np.array(
        [
            [4.0, 3, 2, 1, 9],  # right; the object of the item's own size is left out
            [4.0, 1, 3, 2, 0],  # one of two right in each half
            [1.0, 2, 3, 4, 0],  # wrong
        ]
    )
    assert size_rank_accuracy(scores, answers, others) == pytest.approx([1.0, 0.5, 0.0])
    with pytest.raises(ValueError, match="no object to be compared"):
        size_rank_accuracy(scores, answers & False, others & False)
