import numpy as np
import pytest

from mase.proxies.checking.metrics import (
    Ridge,
    linear_cka,
    mean_cosine,
    pairwise_spearman,
    ranks,
    recall,
    unit,
)
from mase.proxies.checking.names import agreement, constant_cosine
from mase.proxies.checking.retrieval import held_out_groups, measure, tf_idf


def test_ranks_count_a_tie_against_the_query() -> None:
    similarities = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.0], [0.3, 0.8, 0.1]])
    assert ranks(similarities).tolist() == [1, 2, 3]
    assert recall(similarities) == {1: pytest.approx(1 / 3), 5: 1.0, 10: 1.0}


def test_a_constant_encoder_finds_nothing() -> None:
    assert recall(np.ones((20, 20))) == {1: 0.0, 5: 0.0, 10: 0.0}


def test_unit_keeps_zero_vectors() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


def test_mean_cosine_by_hand() -> None:
    first, second = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])
    assert mean_cosine(first, second) == pytest.approx((1 + 2**-0.5) / 2)


def test_spearman_of_pairs_by_hand() -> None:
    # cosines of the pairs (01, 02, 12): first 0.6, 0, 0.8; second 0, 0.6, 0.8
    first = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    second = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert pairwise_spearman(first, first) == pytest.approx(1)
    assert pairwise_spearman(first, second) == pytest.approx(0.5)  # ranks 2 1 3 against 1 2 3
    assert pairwise_spearman(first, np.ones((3, 2))) == 0


def test_cka_by_hand() -> None:
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    # Y'X = (2, 2)', X'X = 2 I, Y'Y = 4: CKA = 8 / (sqrt(8) * 4)
    y = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert linear_cka(x, y) == pytest.approx(2**-0.5)
    turned = x @ np.array([[0.6, -0.8], [0.8, 0.6]]) * 7 + 5
    assert linear_cka(x, turned) == pytest.approx(1)
    assert linear_cka(x, np.ones((4, 3))) == 0


def test_ridge_is_the_closed_form_and_leaves_one_out() -> None:
    generator = np.random.default_rng(0)
    features, targets = generator.normal(size=(12, 3)), generator.normal(size=(12, 2))
    ridge = Ridge(features, targets)
    new = generator.normal(size=(4, 3))
    x, y = features - features.mean(0), targets - targets.mean(0)
    weights = np.linalg.solve(x.T @ x + ridge.penalty * np.eye(3), x.T @ y)
    np.testing.assert_allclose(
        ridge.predict(new), (new - features.mean(0)) @ weights + targets.mean(0), atol=1e-9
    )


def test_ridge_trusts_features_that_explain_and_shrinks_those_that_do_not() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(40, 5))
    explained = features @ generator.normal(size=(5, 2))
    noise = generator.normal(size=(40, 2))
    assert Ridge(features, explained).penalty < Ridge(features, noise).penalty
    np.testing.assert_allclose(Ridge(features, explained).predict(features), explained, atol=0.01)


def test_agreement_of_the_vectors_themselves_is_perfect_and_of_a_constant_nothing() -> None:
    vectors = np.random.default_rng(2).normal(size=(60, 4)) + 3
    train = np.arange(60) < 40
    own = agreement(vectors @ np.diag([1.0, 1.0, 1.0, 1.0]), vectors, train, ~train)
    assert own.cosine == pytest.approx(1, abs=1e-3)
    assert own.spearman == pytest.approx(1)
    assert (own.recall, own.names) == (1.0, 20)
    nothing = agreement(np.ones((60, 4)), vectors, train, ~train)
    assert (nothing.cosine, nothing.spearman, nothing.recall) == (pytest.approx(0, abs=1e-9), 0, 0)
    assert constant_cosine(vectors, train, ~train) > 0.9  # the mean alone, before it is subtracted


def test_retrieval_rounds_go_through_all_captions() -> None:
    groups = [["a dog", "the dog runs"], ["a cat", "the cat sleeps"], ["red bus", "a plate"]]
    found = measure(groups, tf_idf([text for group in groups for text in group]))
    # round 1: dog and cat find theirs, the bus shares no word with its plate (a tie with all);
    # round 2: dog and cat again; "a plate" finds nothing: scikit-learn drops words of one letter
    assert found.recall[1] == pytest.approx(2 / 3)
    assert found.deviation == 0


def test_only_held_out_groups_with_two_captions_take_part() -> None:
    groups = {"1": ("a", "b"), "2": ("c",), "3": ("d", "e", "f")}
    chosen, texts = held_out_groups(groups, ["2", "3"])
    assert chosen == [("d", "e", "f")]
    assert texts == ["a", "b", "c", "d", "e", "f"]
