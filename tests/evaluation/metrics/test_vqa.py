import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.evaluation.metrics import vqa
from mase.evaluation.metrics.vqa import CONTRACTIONS, process_answer, soft_accuracy


def answers(*groups: tuple[str, int]) -> list[str]:
    return [text for text, times in groups for _ in range(times)]


@pytest.mark.parametrize(
    ("text", "processed"),
    [
        ("2,000", "2000"),  # a comma between digits: marks are deleted
        ("2,000-3/4", "200034"),  # all of them, everywhere
        ("white, red", "white red"),  # a mark beside a space is deleted
        ("white,red", "white red"),  # any other becomes a space
        ("a-b, c", "b c"),  # "-" is nowhere beside a space: "a b c", and the article goes
        ("a-b -c", "ab c"),  # beside a space once: deleted everywhere
        ("x-y;-z", "x y z"),  # the space that stands for ";" does not count as one beside "-"
        ("2.", "2"),  # although a digit stands before it: the look-behind is mistyped
        ("2.5", "2.5"),
        ("U.S.A.", "usa"),
        (".5 mph", ".5 mph"),
        ("." * 33 + "x", ".x"),  # the flag is read as a count of 32
        ("10:55", "10:55"),
        ("100%", "100%"),
        ("it's.", "it's"),  # the apostrophe is no mark
        ("mcdonald's", "mcdonald's"),
        ("yes!", "yes"),
        ("what?!", "what"),
        ("none", "0"),
        ("Ten", "10"),
        ("eleven", "eleven"),
        ("two-one", "2 1"),
        ("someone", "someone"),
        ("The cat", "cat"),
        ("a", ""),
        ("theater", "theater"),
        ("dont", "don't"),
        ("DONT know", "don't know"),
        ("wont", "won't"),
        ("couldntve", "couldntve"),  # only one apostrophe may be missing
        ("couldnt've", "couldn't've"),
        ("yall'd've", "y'all'd've"),
        ("ow's'at", "'ow's'at"),
        ("somebody'd", "somebodyd"),  # the list has it the wrong way round
        ("somebodyd", "somebodyd"),
        ("Im", "im"),  # the entry has a capital and the text no longer
        ("its", "its"),  # not in the list
        ("lets", "lets"),
        ("  two\n dogs ", "2 dogs"),
    ],
)
def test_processing_by_hand(text: str, processed: str) -> None:
    assert process_answer(text) == processed


def test_the_list_of_contractions_is_the_official_one_less_two_that_change_nothing() -> None:
    assert len(CONTRACTIONS) == 118
    assert all(short.replace("'", "") == form.replace("'", "") for short, form in CONTRACTIONS.items())
    assert not {"lets", "shes", "ill", "id", "shed", "wed", "well", "were", "its"} & set(CONTRACTIONS)


@pytest.mark.parametrize(
    ("matches", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0)]
)
def test_accuracy_of_ten_answers(matches: int, accuracy: float) -> None:
    assert soft_accuracy("red", answers(("red", matches), ("blue", 10 - matches))) == pytest.approx(accuracy)


def test_texts_are_processed_only_where_people_disagree() -> None:
    assert soft_accuracy("Yes.", answers(("yes", 10))) == 0.0
    assert soft_accuracy("yes", answers(("yes", 10))) == 1.0
    assert soft_accuracy("Yes.", answers(("yes", 9), ("no", 1))) == 1.0
    assert soft_accuracy("the", answers(("the", 10))) == 1.0
    assert soft_accuracy("two", answers(("2", 10))) == 0.0
    assert soft_accuracy("two", answers(("2", 9), ("3", 1))) == 1.0


def test_human_answers_are_processed_too() -> None:
    assert soft_accuracy("2", answers(("two", 3), ("2", 1), ("a lot", 6))) == 1.0
    assert soft_accuracy("lot", answers(("two", 4), ("a lot", 6))) == 1.0
    assert soft_accuracy("None", answers(("none", 1), ("0", 1), ("red", 8))) == pytest.approx(0.6)


def test_white_space_around_is_no_disagreement() -> None:
    assert soft_accuracy(" Yes.", answers((" Yes.\n", 5), ("Yes.", 5))) == 1.0
    assert soft_accuracy("yes", answers((" Yes.\n", 5), ("Yes.", 5))) == 0.0


def test_a_question_without_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one human answer"):
        soft_accuracy("yes", [])
    with pytest.raises(ValueError, match="zip"):
        vqa.accuracies(["yes"], [])


@given(st.lists(st.sampled_from(["red", "Red.", "the red", "blue"]), min_size=1, max_size=10))
def test_accuracy_is_the_mean_over_leave_one_out_subsets(given_answers: list[str]) -> None:
    same = len(set(given_answers)) == 1
    plain = given_answers if same else [process_answer(answer) for answer in given_answers]
    subsets = [[*plain[:out], *plain[out + 1 :]] for out in range(len(plain))]
    expected = np.mean([min(subset.count("red") / 3, 1.0) for subset in subsets])
    assert soft_accuracy("red", given_answers) == pytest.approx(expected)


def test_types_are_scored_apart() -> None:
    texts = ["yes", "2", "red", "blue"]
    given_answers = [
        answers(("yes", 10)),
        answers(("2", 2), ("3", 8)),
        answers(("red", 10)),
        answers(("x", 10)),
    ]
    found = vqa.score(texts, given_answers, ["yes/no", "number", "other", "other"])
    assert found == {"overall": pytest.approx(2.6 / 4), "number": 0.6, "other": 0.5, "yes/no": 1.0}
    assert vqa.by_type(vqa.accuracies(texts, given_answers), ["is", "how many", "is", "is"])[
        "is"
    ] == pytest.approx(2 / 3)


def test_resamples_equal_scoring_the_resample() -> None:
    accuracy = np.array([[0.3, 1.0, 0.0, 0.6], [0.0, 0.9, 1.0, 1.0]])
    types = ["a", "a", "b", "b"]
    counts = np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 1, 3, 0]], dtype=np.uint8)
    found = vqa.resampled_by_type(accuracy, types, counts)
    assert found["overall"][1] == pytest.approx([0.3, 0.0])
    assert found["overall"][2] == pytest.approx([1 / 4, 3.9 / 4])
    assert found["a"] == pytest.approx(np.array([[0.65, 0.45], [0.3, 0.0], [1.0, 0.9]]))
    assert found["b"][1] == pytest.approx([0.0, 0.0])  # none drawn


def test_most_common_answers_of_the_shared_data(shared_data: Path) -> None:
    path = shared_data / "vqa_v2" / "v2_mscoco_val2014_annotations.json"
    asked = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    given_answers = [[one["answer"] for one in question["answers"]] for question in asked]
    types = [question["answer_type"] for question in asked]
    best = vqa.score([question["multiple_choice_answer"] for question in asked], given_answers, types)
    assert set(best) == {"overall", "number", "other", "yes/no"}
    assert best["yes/no"] > best["number"] > best["other"] > 0.7
    assert vqa.score(["yes"] * len(asked), given_answers, types)["number"] < 0.01
