"""Spans as a family: loss, likelihood and information by hand; answers chosen over a question's windows."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mase.data import Rows
from mase.data.files import read_file
from mase.evaluation.metrics import score
from mase.families import FAMILIES, Answered, Span
from mase.families.span import log_constant
from mase.model.backbone import load_tokenizer
from mase.model.heads import Head
from mase.model.inputs import Inputs
from mase.model.span import SpanModel
from mase.model.task_model import Split
from mase.model.tokens import tokenise
from mase.model.windows import windows
from mase.params import HeadParams, Params, load_params

SPAN = FAMILIES["span"]
HEAD = Head(4, 2, HeadParams())
TARGETS = torch.tensor([[0, 0, 4], [2, 3, 4], [0, 0, 8]])


def params_of(shared_data: Path) -> Params:
    return load_params("squad_v2", profile="local", overrides=(f"data.dir={shared_data}",))


def test_the_head_gives_two_numbers_for_a_token() -> None:
    task = params_of(Path("unread")).task
    assert isinstance(SPAN, Span) and SPAN.outputs(task) == 2
    assert SPAN.unlabelled(2).tolist() == [[-1, -1], [-1, -1]]


def test_the_loss_is_the_mean_over_start_and_end() -> None:
    logits = torch.zeros(2, 2, 4)
    logits[1, 0, 2] = math.log(5)  # start: 5 of 8 on the right position; end: 1 of 4
    expected = (2 * math.log(4) + math.log(8 / 5) + math.log(4)) / 4
    assert float(SPAN.loss(logits, TARGETS[:2], HEAD)) == pytest.approx(expected)


def test_likelihood_is_that_of_both_ends() -> None:
    assert SPAN.log_likelihood(torch.tensor([[-1.0, -2.0]]), TARGETS[:1], HEAD).tolist() == [-3.0]


def test_the_best_constant_says_nowhere_or_any_token_of_the_context() -> None:
    task = params_of(Path("unread")).task
    prior = SPAN.prior(task, TARGETS)
    assert prior is not None and prior.tolist() == pytest.approx([3 / 5])  # 2 of 3, each kind once more
    expected = [math.log(0.6), math.log(0.4 / 4), math.log(0.6)]
    assert log_constant(TARGETS, 0.6).tolist() == pytest.approx(expected)


def test_information_by_hand_and_calibrated() -> None:
    labels = TARGETS[1:2].repeat(40, 1)
    told = torch.full((40, 2), -0.5)
    raw = SPAN.information(told, labels, calibrate=False, prior=torch.tensor([0.6]))
    assert raw.value == pytest.approx(-0.5 - math.log(0.1))
    hopeless = SPAN.information(torch.full((40, 2), -9.0), labels, calibrate=True, prior=torch.tensor([0.6]))
    assert hopeless.value == 0.0
    sure = SPAN.information(told, labels, calibrate=True, prior=torch.tensor([0.6]))
    assert sure.value == pytest.approx(raw.value, abs=1e-3)


def asked(references: bool = True) -> tuple[Rows, Rows]:
    """Return three questions, the first over two windows."""
    context = "the red cat sat on a mat"
    labels = np.array([[4, 11], [-1, -1], [21, 24]])
    gold = (("red cat", "cat"), (), ("mat",)) if references else None
    rows = Rows(("a", "b", "c"), ("q",) * 3, (context,) * 3, labels, references=gold)
    seen = Rows(
        ("a/0", "a/1", "b/0", "c/0"),
        ("q",) * 4,
        ("the red cat", "cat sat on a mat", context, context),
        np.full((4, 2), -1),
        groups=("a", "a", "b", "c"),
    )
    return rows, seen


PREDICTED = {
    "start": np.array([4, 4, 0, 21]),
    "end": np.array([11, 7, 3, 24]),
    "score": np.array([3.0, 1.0, 2.0, 1.0], np.float32),
    "null": np.array([5.0, 2.0, 4.0, 0.0], np.float32),
}


def frame_of(rows: Rows, seen: Rows, predicted: dict[str, np.ndarray]) -> pd.DataFrame:
    return SPAN.frame(params_of(Path("unread")).task, Answered(rows, seen, predicted))


def test_the_best_span_of_any_window_meets_the_lowest_no_answer_of_all() -> None:
    frame = frame_of(*asked(), PREDICTED)
    assert frame["prediction"].tolist() == ["red cat", "", "mat"]
    assert frame["no_answer_score"].tolist() == [2.0 - 3.0, 4.0 - 2.0, 0.0 - 1.0]
    assert frame["id"].tolist() == ["a", "b", "c"] and frame["label"].tolist() == [1, 0, 1]
    assert frame["exact"].tolist() == frame["f1"].tolist() == [1.0, 1.0, 1.0]
    assert frame["raw_exact"].tolist() == [1.0, 1.0, 1.0]  # "the" is empty once normalised
    assert frame["answered"].tolist() == [1, 1, 1]
    assert frame["constant_exact"].tolist() == frame["constant_f1"].tolist() == [0.0, 1.0, 0.0]


def test_a_tie_is_answered_and_windows_may_come_in_any_order() -> None:
    rows, seen = asked()
    order = [3, 1, 2, 0]
    moved = {name: values[order] for name, values in PREDICTED.items()}
    again = frame_of(rows, seen.take(order), moved)
    pd.testing.assert_frame_equal(again, frame_of(rows, seen, PREDICTED))
    tied = frame_of(rows, seen, PREDICTED | {"null": np.array([3.0, 3.0, 2.0, 1.0])})
    assert tied["prediction"].tolist() == ["red cat", "the", "mat"]


def test_new_texts_get_an_answer_and_no_scores() -> None:
    frame = frame_of(*asked(references=False), PREDICTED)
    assert list(frame) == ["id", "label", "prediction", "no_answer_score"]


def test_predictions_from_the_labels_of_real_windows_are_exactly_right(shared_data: Path) -> None:
    params = params_of(shared_data)
    assert params.task.files is not None
    path = shared_data / "squad_v2" / "dev-v2.0.json"
    rows = read_file(path, params.task, params.task.files.columns, file_format="squad")
    tokenizer = load_tokenizer(params.backbone)
    seen = windows(rows, tokenizer, params.backbone.max_length, params.task.doc_stride)
    tokens = tokenise(tokenizer, seen, params.backbone.max_length)
    targets = SpanModel.targets(params, Split(seen, Inputs(seen, tokens, {}), None, tokenizer)).numpy()  # type: ignore[arg-type]
    first, last = tokens.pointer[:-1] + targets[:, 0], tokens.pointer[:-1] + targets[:, 1]
    found = targets[:, 0] > 0
    predicted = {
        "start": np.where(found, tokens.start[first], 0),
        "end": np.where(found, tokens.end[last], 0),
        "score": np.where(found, 1.0, -1.0),
        "null": np.where(found, -1.0, 0.0),
    }
    frame = SPAN.frame(params.task, Answered(rows, seen, predicted, tokenizer))
    assert frame["exact"].tolist() == [1.0] * 962
    assert score(params.task, frame)["has_answer_f1"] == 1.0
