import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.evaluation.metrics.squad import exact_match, normalise_answer, score, span_scores, token_f1

TEXTS = st.lists(st.sampled_from(["the", "a", "cat", "Dog.", "-", "“x”", "1,000"]), max_size=3).map(" ".join)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The  Cat's\tpaw!", "cats paw"),
        ("a-the an", "athe"),  # punctuation goes first, and joins
        ("theatre and another", "theatre and another"),
        ("the", ""),
        ("...", ""),
        ("“Paris” – 1,000", "“paris” – 1000"),  # only ASCII punctuation goes
        ("A. An. The.", ""),
        ("É", "é"),
    ],
)
def test_normalisation(text: str, normalised: str) -> None:
    assert normalise_answer(text) == normalised


def test_f1_counts_a_bag_of_tokens() -> None:
    # Gold: big, red, big, dog; predicted: big, big, big, cat. Two in common, precision and recall 1/2.
    assert token_f1("the big red big dog", "big big big cat") == pytest.approx(0.5)
    assert token_f1("Denver Broncos", "the Broncos of Denver in Colorado") == pytest.approx(
        2 * (2 / 5) * 1 / (2 / 5 + 1)
    )
    assert token_f1("cat", "dog") == 0.0


def test_an_empty_side_matches_only_an_empty_side() -> None:
    assert (token_f1("", ""), token_f1("", "the"), token_f1("", "cat"), token_f1("cat", "")) == (1, 1, 0, 0)
    assert (exact_match("", "the"), exact_match("“cat”", "cat")) == (1, 0)


def test_a_gold_answer_of_articles_only_is_dropped_beside_another() -> None:
    assert score({"q": ["the", "cat"]}, {"q": ""})["exact"] == 0.0
    assert score({"q": ["the", "cat"]}, {"q": "the cat"})["exact"] == 1.0
    assert score({"q": ["the"]}, {"q": ""})["HasAns_exact"] == 1.0


GOLD = {
    "several": ["Paris", "the city of Paris", "in Paris"],
    "articles": ["the"],  # answerable for the script, but nothing is left of its answer
    "none": [],
    "also none": [],
}


def test_scores_by_hand() -> None:
    predictions = {"several": "City of Paris, France", "articles": "", "none": "", "also none": "a dog"}
    found = score(GOLD, predictions)
    f1 = 2 * (3 / 4) * 1 / (3 / 4 + 1)  # against "city of paris"
    assert found == {
        "exact": pytest.approx(2 / 4),
        "f1": pytest.approx((f1 + 2) / 4),
        "total": 4,
        "HasAns_exact": pytest.approx(1 / 2),
        "HasAns_f1": pytest.approx((f1 + 1) / 2),
        "HasAns_total": 2,
        "NoAns_exact": pytest.approx(1 / 2),
        "NoAns_f1": pytest.approx(1 / 2),
        "NoAns_total": 2,
    }


def test_a_group_without_questions_is_not_reported() -> None:
    assert set(score({"q": ["a cat"]}, {"q": "cat"})) == {
        "exact",
        "f1",
        "total",
        "HasAns_exact",
        "HasAns_f1",
        "HasAns_total",
    }


def test_the_threshold_takes_effect_above_it_and_leaves_the_search_alone() -> None:
    gold, predictions = {"q": ["cat"], "n": []}, {"q": "cat", "n": "dog"}
    na_probs = {"q": 0.5, "n": 0.75}
    at = score(gold, predictions, na_probs, threshold=0.5)
    assert (at["exact"], at["HasAns_exact"], at["NoAns_exact"]) == (1.0, 1.0, 1.0)
    below = score(gold, predictions, na_probs, threshold=0.4)
    assert (below["HasAns_exact"], below["NoAns_exact"]) == (0.0, 1.0)
    assert below["best_exact"] == at["best_exact"] == 1.0
    assert below["best_exact_thresh"] == 0.5


def test_best_threshold_by_hand() -> None:
    gold = {"a": ["cat"], "b": [], "c": ["dog bone"], "d": []}
    predictions = {"a": "cat", "b": "bird", "c": "dog", "d": ""}
    na_probs = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    # Answering nothing gets b and d: 2. Then a: 3, b: 2, c: 2 exact or 2 2/3 in F1, d: unchanged.
    found = score(gold, predictions, na_probs)
    assert (found["best_exact"], found["best_exact_thresh"]) == (3 / 4, 0.1)
    assert (found["best_f1"], found["best_f1_thresh"]) == (3 / 4, 0.1)


def test_the_best_threshold_is_zero_where_no_answer_is_best() -> None:
    found = score({"a": ["cat"], "b": []}, {"a": "dog", "b": "bird"}, {"a": 0.3, "b": 0.1})
    assert (found["best_exact"], found["best_exact_thresh"]) == (0.5, 0.0)


def test_ties_are_walked_in_the_order_of_the_probabilities_and_may_be_split() -> None:
    gold, predictions = {"n": [], "q": ["cat"]}, {"n": "dog", "q": "cat"}
    right_first = score(gold, predictions, {"q": 0.5, "n": 0.5})
    wrong_first = score(gold, predictions, {"n": 0.5, "q": 0.5})
    assert (right_first["best_exact"], right_first["best_exact_thresh"]) == (1.0, 0.5)
    assert (wrong_first["best_exact"], wrong_first["best_exact_thresh"]) == (0.5, 0.0)


def test_the_search_looks_at_the_raw_text_of_an_unanswerable_question() -> None:
    # "the" is right for "no answer", and still costs a point once it is answered.
    gold, na_probs = {"n": [], "q": ["cat"]}, {"n": 0.1, "q": 0.2}
    assert score(gold, {"n": "the", "q": "cat"}, na_probs)["exact"] == 1.0
    assert score(gold, {"n": "the", "q": "cat"}, na_probs)["best_exact"] == 0.5
    assert score(gold, {"n": "", "q": "cat"}, na_probs)["best_exact"] == 1.0


def test_probabilities_of_other_questions_are_passed_over() -> None:
    found = score({"q": ["cat"]}, {"q": "cat", "x": "y"}, {"x": 0.0, "q": 0.2})
    assert (found["best_f1"], found["best_f1_thresh"]) == (1.0, 0.2)


@pytest.mark.parametrize("na_probs", [None, {"q": 0.5}])
def test_missing_predictions_and_probabilities_are_refused(na_probs: dict[str, float] | None) -> None:
    predictions = {"q": "cat"} if na_probs is None else {"q": "cat", "r": "dog"}
    with pytest.raises(ValueError, match=r"1 of 2 questions have no .*\['r'\]"):
        span_scores({"q": ["cat"], "r": []}, predictions, na_probs)
    with pytest.raises(ValueError, match="0 of 0"):
        span_scores({}, {})


def walked(
    gold: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    na_probs: Mapping[str, float],
    raw: Mapping[str, float],
) -> tuple[float, float]:
    """Search the best threshold question by question."""
    current = best = float(sum(not answers for answers in gold.values()))
    threshold = 0.0
    for question in sorted(na_probs, key=lambda q: na_probs[q]):
        current += raw[question] if gold[question] else -float(predictions[question] != "")
        if current > best:
            best, threshold = current, na_probs[question]
    return best / len(gold), threshold


@given(st.data())
def test_best_thresholds_equal_a_walk_over_the_questions(data: st.DataObject) -> None:
    names = [f"q{i}" for i in range(data.draw(st.integers(1, 6)))]
    gold = {q: data.draw(st.lists(TEXTS, max_size=2)) for q in names}
    predictions = {q: data.draw(st.one_of(TEXTS, st.sampled_from([*gold[q], ""]))) for q in names}
    na_probs = {q: data.draw(st.sampled_from([0.0, 0.5, 1.0])) for q in data.draw(st.permutations(names))}
    scores, found = span_scores(gold, predictions, na_probs), score(gold, predictions, na_probs)
    for name, raw in (("best_exact", scores.raw_exact), ("best_f1", scores.raw_f1)):
        best, threshold = walked(gold, predictions, na_probs, dict(zip(gold, raw.tolist(), strict=True)))
        assert (found[name], found[f"{name}_thresh"]) == (pytest.approx(best), threshold)


@pytest.fixture(scope="module")
def squad(shared_data: Path) -> dict[str, list[str]]:
    articles = json.loads((shared_data / "squad_v2" / "dev-v2.0.json").read_text(encoding="utf-8"))["data"]
    return {
        asked["id"]: [answer["text"] for answer in asked["answers"]]
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    }


def test_gold_answers_score_one_and_empty_ones_the_unanswerable_share(squad: dict[str, list[str]]) -> None:
    perfect = score(squad, {q: answers[-1] if answers else "" for q, answers in squad.items()})
    assert len(squad) == 962
    assert (perfect["exact"], perfect["f1"], perfect["NoAns_f1"]) == (1.0, 1.0, 1.0)
    nothing = score(squad, dict.fromkeys(squad, ""), dict.fromkeys(squad, 0.0))
    share = sum(not answers for answers in squad.values()) / len(squad)
    assert 0.3 < share < 0.7
    assert nothing["exact"] == nothing["f1"] == nothing["best_f1"] == pytest.approx(share)
    assert (nothing["HasAns_exact"], nothing["NoAns_exact"]) == (0.0, 1.0)
