"""Golden numbers: pycocoevalcap 1.2 and rouge-score 0.1.2 on the sentences below, computed once."""

import json
from pathlib import Path

import numpy as np
import pytest

from mase.evaluation.metrics import generation
from mase.evaluation.metrics.generation import GenerationScores, generation_scores
from mase.evaluation.metrics.generation.rouge import longest_common_subsequence, rouge_tokens

CANDIDATES = [
    "A dog catches a frisbee in the park .",
    "The man rides his horse on the beach",
    "a a a a",
    "Two kids were playing with the red ball .",
    "cat",
]
REFERENCES = [
    ["A dog jumps to catch a frisbee in a park .", "The dog caught the frisbee ."],
    [
        "A man is riding a horse on the beach .",
        "The man rode his horse along the beach .",
        "Someone rides on the beach",
    ],
    ["a cat sat .", "a a b"],
    ["Two children played with a red ball ."],
    ["The cat sleeps .", "A cat"],
]
WORDS = [text.split() for text in CANDIDATES]
REFERENCE_WORDS = [[text.split() for text in group] for group in REFERENCES]


def test_bleu_equals_the_coco_scorer() -> None:
    statistics = generation.bleu_statistics(WORDS, REFERENCE_WORDS)
    golden = [0.7027826796505688, 0.5426255320771917, 0.3649245550872716, 0.22249848825690885]
    assert generation.corpus_bleu(statistics.sum(axis=0)) == pytest.approx(golden, abs=1e-12)
    each = [0.22249848825690885, 4.367902321012227e-06, 0.27072175357070527]
    assert generation.corpus_bleu(statistics[0])[3] == pytest.approx(4.567012106881997e-05)
    assert generation.corpus_bleu(statistics[2])[2] == pytest.approx(each[1])
    assert generation.corpus_bleu(statistics[3])[2] == pytest.approx(each[2])


def test_bleu_statistics_by_hand() -> None:
    statistics = generation.bleu_statistics(WORDS, REFERENCE_WORDS)
    # "a a a a" beside "a cat sat ." and "a a b": two unigrams and one bigram count; length 4 beside 4.
    assert statistics[2].tolist() == [2, 1, 0, 0, 4, 3, 2, 1, 4, 4]
    # "cat": references of 4 and 2 words, the closest is 2.
    assert statistics[4].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 2]


def test_of_two_equally_close_reference_lengths_the_shorter_counts() -> None:
    group = [["a"] * 5, ["a"] * 3]
    assert generation.bleu_statistics([["a"] * 4], [group])[0, -1] == 3
    assert generation.bleu_statistics([["a"] * 4], [group[::-1]])[0, -1] == 3


def test_cider_equals_the_coco_scorer() -> None:
    golden = [2.0544937, 2.99908991, 0.49264956, 2.52469463, 1.60287067]
    assert generation.cider(WORDS, REFERENCE_WORDS) == pytest.approx(golden, abs=1e-7)


def test_cider_of_copies_is_ten_and_of_one_example_zero() -> None:
    apart = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    assert generation.cider(apart, [[words] for words in apart]) == pytest.approx([10.0, 10.0])
    assert generation.cider(apart[:1], [apart[:1]]) == pytest.approx([0.0])
    assert generation.cider([[], []], [[words] for words in apart]) == pytest.approx([0.0, 0.0])


def test_cider_penalises_length_and_keeps_given_frequencies() -> None:
    apart = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    longer = generation.cider([[*"abcd", *"wxyz"], apart[1]], [[words] for words in apart])
    cosines = [4 / np.sqrt(4 * 8), 3 / np.sqrt(3 * 7), 2 / np.sqrt(2 * 6), 1 / np.sqrt(5)]
    assert longer[0] == pytest.approx(10 * np.mean(cosines) * np.exp(-16 / 72))
    frequencies = generation.document_frequencies([[words] for words in apart])
    assert generation.cider(apart[:1], [apart[:1]], frequencies) == pytest.approx([10.0])


def test_rouge_equals_google_rouge_score_per_pair() -> None:
    two = [[0.5, 0.0], [0.4, 3 / 7, 4 / 11], [0.0, 0.4], [4 / 13], [0.0, 0.0]]
    longest = [[7 / 9, 4 / 13], [12 / 17, 3 / 4, 8 / 13], [2 / 7, 4 / 7], [2 / 3], [1 / 2, 2 / 3]]
    for found, golden in (
        (generation.rouge_2_pairs(CANDIDATES, REFERENCES), two),
        (generation.rouge_l_pairs(CANDIDATES, REFERENCES), longest),
    ):
        assert found[:, 0] == pytest.approx([sum(group) for group in golden])
        assert found[:, 1].tolist() == [2, 3, 2, 1, 2]


def test_coco_rouge_l_equals_the_coco_scorer() -> None:
    golden = [0.68760064, 0.7787234, 0.58653846, 0.59454191, 0.62886598]
    assert generation.rouge_l_coco(WORDS, REFERENCE_WORDS) == pytest.approx(golden, abs=1e-8)
    assert generation.rouge_l_coco([[], ["b"]], [[["a"]], [["a"], []]]).tolist() == [0.0, 0.0]


def test_rouge_words() -> None:
    assert rouge_tokens("The dogs' T-shirts were RUNNING, 3,000!") == [
        "the",
        "dog",
        "t",
        "shirt",
        "were",
        "run",
        "3",
        "000",
    ]
    assert rouge_tokens("was his bus") == ["was", "his", "bus"]  # three letters are not stemmed


def test_longest_common_subsequence() -> None:
    assert longest_common_subsequence("abcbdab", "bdcaba") == 4
    assert longest_common_subsequence("", "abc") == 0
    assert longest_common_subsequence("abc", "abc") == 3


def test_all_metrics_at_once() -> None:
    concepts = [["dog", "frisbee", "catch"], ["man", "horse", "ride"], ["zebra"], ["kid", "ball"], ["cat"]]
    values = generation_scores(CANDIDATES, REFERENCES, concepts).values()
    assert tuple(values) == generation.SCORES
    assert values["coverage"] == pytest.approx((1 + 1 + 0 + 1 + 1) / 5)
    assert values["bleu_4"] == pytest.approx(0.22249848825690885, abs=1e-12)
    assert values["cider"] == pytest.approx(1.9347596921590813, abs=1e-9)
    assert values["rouge_l_coco"] == pytest.approx(0.6552540799257982, abs=1e-9)
    assert values["rouge_2"] == pytest.approx((0.5 + 0.4 + 3 / 7 + 4 / 11 + 0.4 + 4 / 13) / 10)
    assert "coverage" not in generation_scores(CANDIDATES, REFERENCES).values()


def drawn(scores: GenerationScores, chosen: np.ndarray) -> GenerationScores:
    return GenerationScores(
        scores.bleu[chosen],
        {name: pair[chosen] for name, pair in scores.pairs.items()},
        {name: score[chosen] for name, score in scores.means.items()},
    )


def test_resamples_equal_the_metric_of_the_drawn_examples() -> None:
    scores = generation_scores(CANDIDATES, REFERENCES, [["dog"], ["man"], ["x"], ["kid", "y"], ["cat"]])
    counts = np.array([[1, 1, 1, 1, 1], [0, 2, 0, 2, 1], [5, 0, 0, 0, 0]], dtype=np.uint8)
    found = scores.resampled(counts)
    assert tuple(found) == generation.SCORES
    for row, weights in enumerate(counts):
        expected = drawn(scores, np.repeat(np.arange(5), weights)).values()
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected)
    # BLEU of a resample is that of its sentences anew, not a mean of sentences.
    twice = generation_scores(CANDIDATES[1:2] * 2, REFERENCES[1:2] * 2)
    assert drawn(scores, np.array([1, 1])).values()["bleu_4"] == pytest.approx(twice.values()["bleu_4"])


@pytest.mark.parametrize(("candidates", "references"), [([], []), (["a"], []), (["a", "b"], [["a"], []])])
def test_sentences_that_do_not_line_up_are_refused(
    candidates: list[str], references: list[list[str]]
) -> None:
    with pytest.raises(ValueError, match="reference"):
        generation_scores(candidates, references)


def test_people_of_common_gen(shared_data: Path) -> None:
    lines = (shared_data / "commongen" / "commongen.dev.jsonl").read_text(encoding="utf-8").splitlines()[:120]
    rows = [row for row in map(json.loads, lines) if len(row["scene"]) > 1]
    concepts = [[part.split("_")[0] for part in row["concept_set"].split("#")] for row in rows]
    people = generation_scores(
        [row["scene"][0] for row in rows], [row["scene"][1:] for row in rows], concepts
    )
    copied = generation_scores(
        [row["scene"][1] for row in rows], [row["scene"][1:] for row in rows], concepts
    )
    assert people.values()["coverage"] > 0.98
    assert copied.values()["bleu_4"] == pytest.approx(1.0, abs=1e-6)  # the statistics add 1e-9
    assert copied.values()["rouge_l_coco"] == pytest.approx(1.0)
    assert 0.05 < people.values()["bleu_4"] < 0.5
    assert people.values()["cider"] < copied.values()["cider"] <= 10.0
