"""Set match and exact facts against values worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.evaluation.scenegraph import TripleScores, score_triples

A, B, C, D = ("a", "on", "b"), ("a", "is", "c"), ("d", "in", "e"), ("f",)


def test_worked_by_hand() -> None:
    found = [{A, B}, {A, C, D}, {C}, set()]
    gold = [{A, B}, {A}, {D}, {B}]
    scores = score_triples([frozenset(f) for f in found], [frozenset(g) for g in gold])
    # 3 hits of 6 found and 5 gold; by caption: P 1, 1/3, 0, 0; R 1, 1, 0, 0; F1 1, 1/2, 0, 0
    assert scores.set_match == 25
    assert (scores.precision, scores.recall) == (50, 60)
    assert scores.f1 == pytest.approx(100 * 6 / 11)
    assert scores.macro_precision == pytest.approx(100 / 3)
    assert (scores.macro_recall, scores.macro_f1) == (50, 37.5)


@pytest.mark.parametrize(
    ("found", "gold", "micro", "macro"),
    [
        (set(), set(), 100, 100),
        ({A}, set(), 0, 0),
        (set(), {A}, 0, 0),
        ({("A", "on", "b")}, {A}, 0, 0),  # upper and lower case differ
    ],
)
def test_edges(found: set[tuple[str, ...]], gold: set[tuple[str, ...]], micro: float, macro: float) -> None:
    scores = score_triples([frozenset(found)], [frozenset(gold)])
    assert (scores.f1, scores.macro_f1, scores.set_match) == (micro, macro, 100 * (found == gold))


FACTS = st.lists(st.frozensets(st.sampled_from([A, B, C, D])), min_size=1, max_size=6)


@given(FACTS)
def test_gold_against_itself_is_full(facts: list[frozenset[tuple[str, ...]]]) -> None:
    assert score_triples(facts, facts) == TripleScores(*[100.0] * 7)


@given(
    st.lists(
        st.tuples(st.frozensets(st.sampled_from([A, B, C])), st.frozensets(st.sampled_from([A, B, C]))),
        min_size=1,
    )
)
def test_precision_of_one_is_recall_of_the_other(pairs: list[tuple[frozenset[tuple[str, ...]], ...]]) -> None:
    first, second = [p[0] for p in pairs], [p[1] for p in pairs]
    forth, back = score_triples(first, second), score_triples(second, first)
    assert (forth.precision, forth.recall, forth.set_match) == (back.recall, back.precision, back.set_match)
    assert forth.f1 == pytest.approx(back.f1)
    assert 0 <= forth.macro_f1 <= 100


def test_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="1 graphs for 2"):
        score_triples([frozenset()], [frozenset(), frozenset()])
    with pytest.raises(ValueError, match="at least one"):
        score_triples([], [])
