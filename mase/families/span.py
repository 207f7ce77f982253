"""Span (SQuAD): which words of a context answer the question, or that none do.

The model sees windows (`mase.model.windows`); logits say how well the answer begins and ends at each
position of a window, its first token standing for "no answer". Targets are (first, last, context size),
in tokens. A question's answer is chosen over all its windows, as Hugging Face's run_qa does: the best
span of any window, against the lowest "no answer" of all windows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mase.data import Rows
from mase.em.information import Information
from mase.em.interpolation import interpolated_information
from mase.em.losses import precise
from mase.evaluation.metrics.squad import span_scores
from mase.families.family import Answered, Family
from mase.params import TaskParams

THRESHOLD = 0.0  # "no answer" is given where it scores higher than the best span


class Span(Family):
    """Labels are the answer's (start, end) in characters of the context, (-1, -1) for none; see above."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return 2: how well the answer begins at a token, and how well it ends there."""
        return 2

    def unlabelled(self, count: int) -> np.ndarray:
        """Return that there is no answer."""
        return np.full((count, 2), -1, np.int64)

    def loss(self, logits: Float[Tensor, "B 2 P"], labels: Tensor, head: Any) -> Float[Tensor, ""]:
        """Return the mean of the cross entropies of start and end, in nats (Eq. 7)."""
        return functional.cross_entropy(precise(logits).flatten(0, 1), labels[:, :2].flatten())

    def log_likelihood(self, answers: Float[Tensor, "N 2"], labels: Tensor, head: Any) -> Float[Tensor, "N"]:
        """Return log p of the right start and end together."""
        return answers.sum(-1)

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor:
        """Return (1,): how frequent windows without an answer are, each kind counted once more."""
        return ((_nowhere(labels).sum() + 1).double() / (len(labels) + 2)).reshape(1)

    def information(
        self, answers: Float[Tensor, "N 2"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return what log p of start and end exceeds the best constant's by, in nats per end and window.

        The best constant says "no answer" as often as the training windows have none, and else any
        token of the window's context.
        """
        constant = log_constant(labels, self.prior_of(labels, prior)).unsqueeze(1).expand(-1, 2)
        there = torch.ones_like(constant, dtype=torch.bool)
        return interpolated_information(answers, constant, there, calibrate=calibrate)

    def prior_of(self, labels: Tensor, prior: Tensor | None) -> float:
        """Return the given frequency, or that of these labels."""
        found = ((_nowhere(labels).sum() + 1) / (len(labels) + 2)) if prior is None else prior
        return float(found)

    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return a line per question: its answer, "" for none, and what `metrics.span` reads.

        `label` is 1 where the data set gives an answer. `no_answer_score` is the lowest "no answer"
        score of the question's windows less the score of its best span.
        """
        rows = answered.rows
        spans, difference = _chosen(rows, answered.seen, answered.predicted)
        given = [text if score <= THRESHOLD else "" for text, score in zip(spans, difference, strict=True)]
        frame = pd.DataFrame(
            {"id": rows.ids, "label": (rows.labels[:, 0] >= 0).astype(int), "prediction": given}
        )
        if rows.references is None:
            return frame.assign(no_answer_score=difference)
        return frame.assign(no_answer_score=difference, **_columns(rows, spans, difference))


def log_constant(labels: Tensor, nowhere: float) -> Float[Tensor, "N"]:
    """Return log p of a window's start, or end, under the best constant prediction."""
    elsewhere = np.log1p(-nowhere) - labels[:, 2].clamp_min(1).double().log()
    return torch.where(_nowhere(labels), torch.full_like(elsewhere, float(np.log(nowhere))), elsewhere)


def _nowhere(labels: Tensor) -> Tensor:
    """Return which targets stand for "no answer"."""
    return labels[:, 0] == 0


def _chosen(
    rows: Rows, seen: Rows, predicted: Mapping[str, np.ndarray]
) -> tuple[list[str], Float[np.ndarray, "n"]]:
    """Return each question's best span, whether it is given or not, and its no-answer score."""
    assert seen.groups is not None and seen.texts_b is not None
    places = {name: place for place, name in enumerate(rows.ids)}
    question = np.array([places[name] for name in seen.groups], dtype=np.int64)
    score = predicted["score"].astype(np.float64)
    order = np.lexsort((-score, question))  # of a question, the window with the best span comes first
    _, first = np.unique(question[order], return_index=True)
    null = np.full(len(rows), np.inf)
    np.minimum.at(null, question, predicted["null"].astype(np.float64))
    spans = []
    for window in order[first].tolist():
        start, end = int(predicted["start"][window]), int(predicted["end"][window])
        spans.append(seen.texts_b[window][start:end].strip())
    return spans, null - score[order[first]]


def _columns(rows: Rows, spans: list[str], difference: np.ndarray) -> dict[str, np.ndarray]:
    """Return the official scores of the spans, and (`constant_`) of never answering."""
    assert rows.references is not None
    gold = dict(zip(rows.ids, rows.references, strict=True))
    scores = dict(zip(rows.ids, difference.tolist(), strict=True))
    found = span_scores(gold, dict(zip(rows.ids, spans, strict=True)), scores, threshold=THRESHOLD)
    nothing = span_scores(gold, dict.fromkeys(gold, ""))
    return {
        "exact": found.exact,
        "f1": found.f1,
        "has_answer": found.has_answer.astype(int),
        "raw_exact": found.raw_exact,
        "raw_f1": found.raw_f1,
        "answered": found.answered.astype(int),
        "constant_exact": nothing.exact,
        "constant_f1": nothing.f1,
        "constant_raw_exact": nothing.exact,
        "constant_raw_f1": nothing.f1,
        "constant_answered": np.zeros(len(gold), int),
    }
