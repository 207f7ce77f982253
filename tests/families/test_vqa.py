"""VQA's vocabulary, soft targets, loss, information and predictions, by hand and by the official metric."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mase.data import Rows
from mase.em.bernoulli import bernoulli_information
from mase.errors import DataError, TrainingError
from mase.evaluation.metrics import score
from mase.evaluation.metrics.scoring import best_constant, metric_named
from mase.evaluation.metrics.vqa import METRICS, soft_accuracy
from mase.families import Answered, family_of
from mase.families.vqa import (
    Vocabulary,
    answer_ids,
    answer_vocabulary,
    mean_targets,
    most_frequent,
    soft_targets,
)
from mase.params import TaskParams
from mase.params.vqa import VqaParams

TASK = TaskParams(
    name="tiny",
    title="Tiny",
    family="vqa",
    metrics=("vqa_accuracy", "yes_no", "number", "other"),
    main_metric="vqa_accuracy",
    vqa=VqaParams(answers_at_least=1),
)
FAMILY = family_of(TASK)


def people(*groups: tuple[str, int]) -> tuple[str, ...]:
    return tuple(text for text, times in groups for _ in range(times))


REFERENCES = (
    people(("yes", 7), ("no", 3)),
    people(("Yes.", 5), ("yes", 1), ("no", 4)),
    people(("two", 6), ("2", 1), ("three", 3)),
    people(("red", 4), ("a red", 1), ("white, red", 5)),
)
KINDS = ("yes/no", "yes/no", "number", "other")


def rows(references: tuple[tuple[str, ...], ...] = REFERENCES, kinds: tuple[str, ...] = KINDS) -> Rows:
    count = len(references)
    return Rows(
        tuple(str(100 + i) for i in range(count)),
        ("what?",) * count,
        None,
        np.zeros(count, np.int64),
        tuple(map(str, range(count))),
        references=references,
        strata=kinds,
    )


def test_the_vocabulary_counts_questions_by_their_most_frequent_processed_answer() -> None:
    assert [most_frequent(answers) for answers in REFERENCES] == ["yes", "yes", "2", "red"]
    assert answer_vocabulary(REFERENCES, at_least=1) == ("yes", "2", "red")  # equals by the alphabet
    assert answer_vocabulary(REFERENCES, at_least=2) == ("yes",)
    assert answer_vocabulary(REFERENCES, at_least=1, at_most=2) == ("yes", "2")
    assert most_frequent(people(("b", 5), ("a b", 1), ("c", 2), ("a", 2))) == "b"
    assert most_frequent(people(("b", 5), ("c", 5))) == "b"


def test_a_vocabulary_of_fewer_than_two_answers_is_refused() -> None:
    strict = TASK.model_copy(update={"vqa": VqaParams(answers_at_least=2)})
    with pytest.raises(
        DataError, match=r"1 answers are the most frequent.*lower task\.vqa\.answers_at_least"
    ):
        FAMILY.vocabulary(strict, rows())


def test_soft_targets_by_hand() -> None:
    vocabulary = FAMILY.vocabulary(TASK, rows())
    ids = answer_ids(REFERENCES, vocabulary)
    assert ids[0].tolist() == [0] * 7 + [-1] * 3  # "no" is no class
    expected = [[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    assert torch.allclose(soft_targets(ids, 3), torch.tensor(expected))
    few = answer_ids((people(("red", 1), ("2", 2), ("x", 7)), people(("red", 3), ("yes", 7))), vocabulary)
    assert torch.allclose(soft_targets(few, 3), torch.tensor([[0.0, 0.6, 0.3], [1.0, 0.0, 0.9]]))


def test_a_question_with_fewer_people_is_padded_and_not_diluted() -> None:
    ids = answer_ids((people(("yes", 10)), people(("yes", 2), ("no", 1))), ("yes", "no"))
    assert ids[1].tolist() == [0, 0, 1] + [-2] * 7
    expected = soft_accuracy("yes", people(("yes", 2), ("no", 1)))
    assert soft_targets(ids, 2)[1, 0].item() == pytest.approx(expected)


@given(st.lists(st.sampled_from(["red", "Red.", "the red", "blue", "2", "two"]), min_size=2, max_size=10))
def test_the_target_of_an_answer_is_the_official_accuracy_that_it_would_get(answers: list[str]) -> None:
    vocabulary = ("red", "2", "blue")
    targets = soft_targets(answer_ids([answers], vocabulary), 3)[0]
    if len(set(answers)) > 1:  # else the official script does not process them
        assert targets.tolist() == pytest.approx([soft_accuracy(word, answers) for word in vocabulary])


def test_the_loss_is_summed_over_answers_and_averaged_over_questions() -> None:
    ids = answer_ids((people(("yes", 10)), people(("no", 1), ("x", 9))), ("yes", "no"))
    logits = torch.tensor([[2.0, -1.0], [0.0, 0.5]])
    chance = 1 / (1 + math.exp(-0.5))
    first = math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))
    second = math.log(2) - 0.3 * math.log(chance) - 0.7 * math.log(1 - chance)
    assert FAMILY.loss(logits, ids, None).item() == pytest.approx((first + second) / 2)
    assert FAMILY.log_likelihood(logits, ids, None).tolist() == pytest.approx([-first, -second])


def test_the_prior_is_the_mean_target_of_each_answer() -> None:
    vocabulary = FAMILY.vocabulary(TASK, rows())
    ids = answer_ids(REFERENCES, vocabulary)
    prior = FAMILY.prior(TASK, ids)
    assert prior is not None and prior.tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert FAMILY.shares(TASK, rows(), vocabulary) == pytest.approx((0.5, 0.25, 0.25))
    assert mean_targets(ids, 5).tolist() == pytest.approx([0.5, 0.25, 0.25, 0, 0])


def planted(strength: float, count: int = 400, classes: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits that know the answer of a question, times `strength`, and soft targets."""
    generator = torch.Generator().manual_seed(0)
    right = torch.randint(0, classes, (count,), generator=generator)
    targets = torch.nn.functional.one_hot(right, classes).float()
    noise = torch.randn(count, classes, generator=generator)
    return strength * (targets * 4 - 3 + 1.5 * noise), targets


def test_information_is_zero_for_the_constant_and_near_the_entropy_for_the_truth() -> None:
    _, targets = planted(1.0)
    prior = targets.double().mean(0)
    constant = prior.logit().expand_as(targets)
    assert bernoulli_information(constant, targets, calibrate=True, prior=prior).value == 0.0
    entropy = float(-(prior * prior.log() + (1 - prior) * (1 - prior).log()).sum())
    truth = (targets * 2 - 1) * 30
    for calibrate in (True, False):
        found = bernoulli_information(truth, targets, calibrate=calibrate, prior=prior)
        assert found.value == pytest.approx(entropy, rel=1e-3)


def test_calibration_keeps_an_overconfident_modality_above_zero_and_a_useless_one_at_zero() -> None:
    loud, targets = planted(12.0)
    raw = bernoulli_information(loud, targets, calibrate=False)
    calibrated = bernoulli_information(loud, targets, calibrate=True)
    assert raw.value == 0.0 and raw.raw < -0.5
    assert calibrated.value > 0.2
    shuffled = loud[torch.randperm(len(loud), generator=torch.Generator().manual_seed(1))]
    useless = bernoulli_information(shuffled, targets, calibrate=True)
    assert useless.value < 2 * useless.standard_error + 1e-3
    assert calibrated.value > 10 * max(useless.value, 1e-9)


def test_information_does_not_depend_on_the_rows_order() -> None:
    logits, targets = planted(1.0, count=80)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(2))
    one = bernoulli_information(logits, targets, calibrate=True)
    other = bernoulli_information(logits[order], targets[order], calibrate=True)
    assert one.value == pytest.approx(other.value, rel=1e-12)


def test_what_regions_tell_alone_is_no_modalitys_information() -> None:
    """The base knows which half of the answers is right, the modality which one; noise repeats the base."""
    truth, targets = planted(3.0)
    halves = targets.unflatten(1, (2, 3)).amax(2, keepdim=True).expand(-1, -1, 3).flatten(1)
    base = halves * 5 - 6
    noise = base + 0.5 * torch.randn(base.shape, generator=torch.Generator().manual_seed(3))
    ids = targets.argmax(1)[:, None].expand(-1, 10)
    prior = mean_targets(ids, 6)

    def told(own: torch.Tensor, calibrate: bool = True) -> float:
        both = torch.stack([own, base], dim=-1)
        return FAMILY.information(both, ids, calibrate=calibrate, prior=prior).value

    alone = FAMILY.information(noise, ids, calibrate=True, prior=prior).value
    assert alone > 0.5  # of the base, as a judge by the prior would have it
    assert told(noise) < 0.01 and told(noise, calibrate=False) < 0.01
    assert told(truth + base) > 0.3 and told(base) == 0.0
    with pytest.raises(TrainingError, match="a base of the same shape"):
        bernoulli_information(truth, targets, calibrate=True, base=base[:, :2])


def test_information_refuses_what_it_cannot_judge() -> None:
    logits, targets = planted(1.0, count=4)
    with pytest.raises(TrainingError, match="two rows or more"):
        bernoulli_information(logits[:1], targets[:1], calibrate=True)
    with pytest.raises(TrainingError, match="not finite"):
        bernoulli_information(logits / 0, targets, calibrate=True)


def predictions(*answers: int) -> "dict[str, np.ndarray]":
    return {"answer": np.array(answers), "confidence": np.full(len(answers), 0.5, np.float32)}


def test_the_frame_holds_answers_official_accuracy_and_what_the_constant_gets() -> None:
    vocabulary, examples = ("yes", "2", "red"), rows()
    frame = FAMILY.frame(TASK, Answered(examples, examples, predictions(0, 1, 1, 2), labels=vocabulary))
    assert frame["prediction"].tolist() == ["yes", "2", "2", "red"]
    assert frame["label"].tolist() == [0, 0, 1, 2]
    assert frame["vqa_accuracy"].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert frame["constant_vqa_accuracy"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert score(TASK, frame) == {
        "vqa_accuracy": 0.75,
        "yes_no": 0.5,
        "number": 1.0,
        "other": 1.0,
        "constant_predictions": 0.0,
    }
    unknown = FAMILY.frame(TASK, Answered(examples, examples, predictions(0, 0, 0, 0), labels=("yes", "2")))
    assert unknown["label"].tolist() == [0, 0, 1, -1]
    fresh = Rows(("0",), ("what?",), None, np.zeros(1, np.int64))
    assert FAMILY.frame(TASK, Answered(fresh, fresh, predictions(2), labels=vocabulary)).columns.tolist() == [
        "id",
        "prediction",
        "confidence",
    ]


def test_types_sum_up_to_the_whole_and_have_their_own_constant() -> None:
    """By hand: training says yes, 3 and "white red" most; 3 of 10 say "three", 5 "white, red"."""
    said = ("yes", "yes", "no", "3", "three", "2", "a white, red", "red", "white red")
    kinds = ("yes/no",) * 3 + ("number",) * 3 + ("other",) * 3
    vocabulary = FAMILY.vocabulary(TASK, rows(tuple(people((text, 10)) for text in said), kinds))
    assert vocabulary == ("3", "white red", "yes", "2", "no", "red")
    assert vocabulary.by_type == {"yes/no": "yes", "number": "3", "other": "white red"}  # type: ignore[attr-defined]
    vocabulary, examples = Vocabulary(("yes", "2", "red"), vocabulary.by_type), rows()  # type: ignore[attr-defined]
    frame = FAMILY.frame(TASK, Answered(examples, examples, predictions(0, 1, 0, 2), labels=vocabulary))
    found = score(TASK, frame)
    shares = {name: frame[name].mean() for name in ("yes_no", "number", "other")}
    assert sum(shares.values()) == 1.0
    assert sum(found[name] * share for name, share in shares.items()) == pytest.approx(found["vqa_accuracy"])
    for name, expected in (("vqa_accuracy", 0.5), ("yes_no", 1.0), ("number", 0.9), ("other", 1.0)):
        metric = metric_named(TASK, name)
        constant = best_constant(TASK, frame, metric)
        assert constant is not None
        assert metric.value(frame["label"].to_numpy(), constant) == expected


def test_resamples_of_every_metric_equal_scoring_the_resample() -> None:
    generator = np.random.default_rng(0)
    accuracy = generator.choice([0, 0.3, 1.0], (2, 12))
    kind = (np.arange(12) < 7).astype(float)
    counts = generator.multinomial(12, np.full(12, 1 / 12), 5).astype(np.uint8)
    for metric in METRICS[:2]:
        both = np.stack([accuracy, np.broadcast_to(kind, accuracy.shape)], axis=2)
        columns = accuracy if len(metric.columns) == 1 else both
        found = metric.resampled(np.zeros(12), columns, counts)
        for draw, times in enumerate(counts):
            chosen = np.repeat(np.arange(12), times)
            for seed in range(2):
                assert found[draw, seed] == pytest.approx(metric.value(np.zeros(12), columns[seed][chosen]))


def test_results_are_in_the_official_layout() -> None:
    vocabulary, examples = ("yes", "2", "red"), rows()
    frame = FAMILY.frame(TASK, Answered(examples, examples, predictions(0, 1, 0, 2), labels=vocabulary))
    (name, text), *others = FAMILY.files(TASK, frame).items()
    assert name == "vqa_results.json" and not others
    assert json.loads(text)[:2] == [
        {"question_id": 100, "answer": "yes"},
        {"question_id": 101, "answer": "2"},
    ]
