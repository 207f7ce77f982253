"""Loss, information and predictions of generated sentences."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from mase.data import Rows
from mase.families import family_of
from mase.families.generation import PADDED, Generation
from mase.model.backbone import load_tokenizer
from mase.params import Params, load_params

FAMILY = Generation()
LABELS = torch.tensor([[4, 2, 7], [2, 7, PADDED], [4, 7, PADDED]])


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params("commongen", profile="smoke", overrides=("data.source=files", "data.dir=unread"))


def test_the_loss_is_the_mean_over_target_tokens() -> None:
    logits = torch.randn(3, 3, 9, generator=torch.Generator().manual_seed(0))
    told = [-logits[i, t].log_softmax(-1)[LABELS[i, t]] for i, t in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))]
    told += [-logits[2, t].log_softmax(-1)[LABELS[2, t]] for t in (0, 1)]
    assert FAMILY.loss(logits, LABELS, None) == pytest.approx(float(torch.stack(told).mean()))
    changed = logits.clone()
    changed[1:, 2] = 50.0  # behind the end
    assert FAMILY.loss(changed, LABELS, None) == FAMILY.loss(logits, LABELS, None)


def test_a_sentences_likelihood_is_the_sum_of_its_tokens() -> None:
    answers = torch.full((3, 3), -0.5)
    assert FAMILY.log_likelihood(answers, LABELS, None).tolist() == [-1.5, -1.0, -1.0]


def test_the_prior_counts_tokens_and_keeps_a_place_for_unseen_ones(params: Params) -> None:
    prior = FAMILY.prior(params.task, LABELS)
    assert prior.sum() == pytest.approx(1.0) and prior.dtype == torch.float64
    assert (prior * (7 + 9)).tolist() == [1, 1, 3, 1, 3, 1, 1, 4, 1]  # counts plus one, ids 0..7 and unseen


def test_information_is_what_is_told_beyond_the_frequency(params: Params) -> None:
    labels = torch.randint(0, 6, (40, 3), generator=torch.Generator().manual_seed(0))
    labels[::2, 2] = PADDED
    prior = FAMILY.prior(params.task, labels)
    constant = prior.log()[labels.clamp(0)].masked_fill(labels == PADDED, 0.0)
    for calibrate in (True, False):
        nothing = FAMILY.information(constant, labels, calibrate=calibrate, prior=prior)
        sure = FAMILY.information(torch.zeros(40, 3), labels, calibrate=calibrate, prior=prior)
        assert nothing.value == pytest.approx(0.0, abs=1e-6)
        mean = -float(constant[labels != PADDED].mean())
        assert sure.value == pytest.approx(mean, rel=0.02) and mean > math.log(5)
    wrong = FAMILY.information(constant - 3.0, labels, calibrate=True, prior=prior)
    assert wrong.value == pytest.approx(0.0, abs=1e-3)


def test_a_token_that_training_never_had_is_the_unseen_one(params: Params) -> None:
    prior = FAMILY.prior(params.task, LABELS)
    unseen = torch.full((4, 1), 500)
    told = torch.full((4, 1), float(prior[-1].log()))
    assert FAMILY.information(told, unseen, calibrate=False, prior=prior).raw == pytest.approx(0.0, abs=1e-6)


def rows(references: tuple[tuple[str, ...], ...] | None) -> Rows:
    texts = ("dog run", "cat sleep couch")
    return Rows(("a", "b"), texts, None, np.zeros(2, np.int64), references=references)


def tokens(params: Params, *sentences: str) -> np.ndarray:
    tokenizer = load_tokenizer(params.backbone)
    pad = tokenizer.pad_token_id
    assert isinstance(pad, int)
    coded = [
        [*tokenizer(s, add_special_tokens=False)["input_ids"], tokenizer.sep_token_id] for s in sentences
    ]
    padded = [functional.pad(torch.tensor(c), (0, 12 - len(c)), value=pad) for c in coded]
    return torch.stack(padded).numpy()


def test_the_frame_says_the_sentences_their_scores_and_those_of_copying(params: Params) -> None:
    tokenizer = load_tokenizer(params.backbone)
    found = rows((("a dog runs .", "dogs run"), ("the cat is asleep .",)))
    predicted = {"tokens": tokens(params, "a dog runs.", "a cat sleeps on it.")}
    frame = FAMILY.frame(params.task, found, found, predicted, tokenizer)
    assert frame["prediction"].tolist() == ["a dog runs.", "a cat sleeps on it."]
    assert frame["id"].tolist() == ["a", "b"] and frame["label"].tolist() == [0, 0]
    assert frame["coverage"].tolist() == pytest.approx([1.0, 2 / 3])
    assert frame["constant_coverage"].tolist() == [1.0, 1.0]
    assert frame["rouge_pairs"].tolist() == [2.0, 1.0]
    assert frame["references"].tolist()[0] == ["a dog runs .", "dogs run"]
    assert frame["cider"][0] > frame["constant_cider"][0] > 0.5


def test_new_texts_have_sentences_and_no_scores(params: Params) -> None:
    tokenizer = load_tokenizer(params.backbone)
    predicted = {"tokens": tokens(params, "a dog runs.", "")}
    frame = FAMILY.frame(params.task, rows(None), rows(None), predicted, tokenizer)
    assert list(frame) == ["id", "label", "prediction"]
    assert frame["prediction"].tolist() == ["a dog runs.", ""]


def test_the_task_belongs_to_the_family(params: Params) -> None:
    assert isinstance(family_of(params.task), Generation) and FAMILY.outputs(params.task) == 0
