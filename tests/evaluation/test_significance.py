import numpy as np
import pytest
from scipy import stats

from mase.evaluation.resampling import difference_draws, example_counts, seed_weights
from mase.evaluation.significance import bootstrap_p, compare, holm, mcnemar_p, sign_flip_p, t_interval


def test_holm_by_hand() -> None:
    # Sorted .01, .02, .03, .04 times 4, 3, 2, 1 = .04, .06, .06, .04, then the running maximum.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs() -> None:
    first = np.array([True] * 9 + [False] * 2 + [True] * 20)
    second = np.array([False] * 9 + [True] * 2 + [True] * 20)
    assert mcnemar_p(first, second) == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert mcnemar_p(first, first) == 1.0


def test_sign_flip_by_hand() -> None:
    # |sum| of (1, 1, 1) is reached by 2 of 8 sign patterns; zeros do not count.
    assert sign_flip_p(np.array([1.0, 0.0, 1.0, 1.0, 0.0]), np.random.default_rng(0)) == pytest.approx(0.25)
    assert sign_flip_p(np.zeros(5), np.random.default_rng(0)) == 1.0


def test_sign_flip_of_one_seed_agrees_with_mcnemar() -> None:
    first = np.array([True] * 40 + [False] * 22 + [True] * 50)
    second = np.array([False] * 40 + [True] * 22 + [True] * 50)
    drawn = sign_flip_p(first.astype(float) - second, np.random.default_rng(0), permutations=20_000)
    assert drawn == pytest.approx(mcnemar_p(first, second), abs=0.01)


def test_the_t_interval_is_students() -> None:
    low, high = t_interval([1.0, 2.0, 3.0]) or (0.0, 0.0)
    half = 4.302653 / np.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-5)
    assert t_interval([1.0]) is None


def test_bootstrap_p_of_equal_rows_is_one_and_never_zero() -> None:
    assert bootstrap_p(np.zeros(1000)) == 1.0
    assert bootstrap_p(np.ones(999)) == pytest.approx(2 / 1000)


def test_resamples_are_fixed_by_their_purpose_and_cannot_be_written() -> None:
    counts = example_counts(50, 200, "a")
    assert (counts.sum(axis=1) == 50).all()
    assert not np.array_equal(counts, example_counts(50, 200, "b"))
    again = example_counts.__wrapped__(50, 200, "a")
    assert np.array_equal(counts, again)
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 1


def test_seed_weights_give_the_unbiased_variance_of_a_mean() -> None:
    values = np.array([1.0, 4.0, 4.5])
    weights = seed_weights(3, 40_000, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert (weights @ values).var() == pytest.approx(values.var(ddof=1) / 3, rel=0.03)
    assert seed_weights(1, 5, np.random.default_rng(0)).tolist() == [[1.0]] * 5


def accuracy_rows(rng: np.random.Generator, shift: float, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right/wrong `(S, n)` of two rows on shared examples, with noise of each training."""
    ease = rng.normal(size=200)

    def row(skill: float) -> np.ndarray:
        noise = rng.normal(size=(seeds, 1)) * 0.15 + rng.normal(size=(seeds, 200)) * 0.7
        return (ease + skill + noise > -0.8).astype(float)

    return row(shift), row(0.0)


def bootstrap(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    counts = rng.multinomial(200, np.full(200, 1 / 200), size=300) / 200
    return difference_draws(counts @ first.T, counts @ second.T, same_seeds=True, generator=rng)


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    trials = [accuracy_rows(rng, 0.0, seeds=4) for _ in range(80)]
    found = [compare(a.mean() - b.mean(), bootstrap(a, b, rng)) for a, b in trials]
    covered = np.mean([c.low <= 0 <= c.high for c in found])
    assert 0.90 <= covered <= 1.0
    assert np.mean([c.p < 0.05 for c in found]) <= 0.09


def test_a_planted_difference_is_found_and_is_above_the_detectable_one() -> None:
    rng = np.random.default_rng(4)
    first, second = accuracy_rows(rng, 1.2, seeds=4)
    found = compare(first.mean() - second.mean(), bootstrap(first, second, rng))
    assert found.low > 0
    assert found.p < 0.01
    assert 0 < found.detectable < found.difference


def test_unequal_seeds_are_resampled_on_their_own() -> None:
    rng = np.random.default_rng(5)
    first, second = accuracy_rows(rng, 0.0, seeds=4)
    counts = rng.multinomial(200, np.full(200, 1 / 200), size=300) / 200
    draws = difference_draws(counts @ first.T, counts @ second[:2].T, same_seeds=False, generator=rng)
    assert draws.mean() == pytest.approx(first.mean() - second[:2].mean(), abs=0.01)
