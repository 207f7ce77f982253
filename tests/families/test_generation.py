"""Loss, information and predictions of generated sentences."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mase.data import Rows
from mase.evaluation.metrics import best_constant, metric_named
from mase.families import Answered, family_of
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


def test_information_is_what_is_told_beyond_the_tokens_before(params: Params) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (40, 3), generator=generator)
    labels[::2, 2] = PADDED
    base = (-3.0 * torch.rand(40, 3, generator=generator)).masked_fill(labels == PADDED, 0.0)
    assert FAMILY.prior(params.task, labels) is None  # the base comes with the answers
    for calibrate in (True, False):

        def found(told: Tensor, calibrate: bool = calibrate) -> float:
            answers = torch.stack([told, base], dim=-1)
            return FAMILY.information(answers, labels, calibrate=calibrate, prior=None).value

        assert found(base) == pytest.approx(0.0, abs=1e-6)
        assert found(0.5 * base) == pytest.approx(-0.5 * float(base[labels != PADDED].mean()), rel=0.02)
        assert found(base - 3.0) == pytest.approx(0.0, abs=1e-3)


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
    frame = FAMILY.frame(params.task, Answered(found, found, predicted, tokenizer))
    assert frame["prediction"].tolist() == ["a dog runs.", "a cat sleeps on it."]
    assert frame["id"].tolist() == ["a", "b"] and frame["label"].tolist() == [0, 0]
    assert frame["coverage"].tolist() == pytest.approx([1.0, 2 / 3])
    assert "constant_coverage" not in frame  # copying has them all, so nothing could be above it
    assert best_constant(params.task, frame, metric_named(params.task, "coverage")) is None
    assert frame["rouge_pairs"].tolist() == [2.0, 1.0]
    assert frame["references"].tolist()[0] == ["a dog runs .", "dogs run"]
    assert frame["cider"][0] > frame["constant_cider"][0] > 0.5


def test_new_texts_have_sentences_and_no_scores(params: Params) -> None:
    tokenizer = load_tokenizer(params.backbone)
    predicted = {"tokens": tokens(params, "a dog runs.", "")}
    frame = FAMILY.frame(params.task, Answered(rows(None), rows(None), predicted, tokenizer))
    assert list(frame) == ["id", "label", "prediction"]
    assert frame["prediction"].tolist() == ["a dog runs.", ""]


def test_the_task_belongs_to_the_family(params: Params) -> None:
    assert isinstance(family_of(params.task), Generation) and FAMILY.outputs(params.task) == 0
