"""Cloze: hidden words of texts are what is learned, a closed set of labels at a blank is what is asked.

Answers are log probabilities of the hidden tokens, (N, P), with targets `IGNORED` where a row has fewer
blanks than P. The best constant predictor is the training rows' frequency of hidden tokens.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mase.data.cloze import are_texts
from mase.em.information import Information
from mase.em.interpolation import interpolated_information
from mase.errors import ParamsError
from mase.evaluation.metrics.cloze import answer_columns
from mase.families.family import Answered, Family
from mase.params import TaskParams

IGNORED = -100  # as `mase.model.hidden_words` has it


class Cloze(Family):
    """Labels are the tokens at the blanks; the head gives logits over the vocabulary."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return how many labels a probe ranks; the head's size is the language model's."""
        return len(task.labels)

    def loss(self, logits: Float[Tensor, "K V"], labels: Int[Tensor, "K"], head: Any) -> Float[Tensor, ""]:
        """Return the cross entropy of the hidden tokens in nats (Eq. 7)."""
        return functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED)

    def information(
        self,
        answers: Float[Tensor, "N P"],
        labels: Int[Tensor, "N P"],
        *,
        calibrate: bool,
        prior: Tensor | None,
    ) -> Information:
        """Return what h^m adds to the tokens' frequencies, in nats per hidden token."""
        assert prior is not None
        filled = (labels != IGNORED).any(1)  # a text that was cut may have lost its blanks
        told, tokens = answers[filled], labels[filled].cpu()
        constant = prior.log()[tokens.clamp(0, len(prior) - 1)]
        return interpolated_information(told, constant, tokens != IGNORED, calibrate=calibrate)

    def prior(self, task: TaskParams, labels: Int[Tensor, "N P"]) -> Float[Tensor, "T"]:
        """Return the share of each token id, float64, one added to each count.

        The last entry stands for every id that is larger than all that were seen.
        """
        seen = labels[labels != IGNORED].cpu()
        size = int(seen.max()) + 2 if len(seen) else 1
        counts = torch.bincount(seen, minlength=size).double() + 1.0
        return counts / counts.sum()

    def log_likelihood(
        self, answers: Float[Tensor, "N P"], labels: Int[Tensor, "N P"], head: Any
    ) -> Float[Tensor, "N"]:
        """Return log p of a row's hidden tokens together, in nats."""
        return answers.double().sum(1)

    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return a line per object: the label with the highest mean score, and what each template said.

        Raises:
            ParamsError: if the rows are texts without labels, or a blank was cut off.
        """
        rows, predicted = answered.rows, answered.predicted
        if are_texts(rows):
            raise ParamsError(
                f"task {task.name} is scored on its probe, and training texts have no labels to rank; "
                "set data.evaluate_on to dev"
            )
        scores = _by_template(task, len(rows), predicted["scores"])
        if "beside" in predicted:  # of a zero-shot ensemble, see `mase.baselines.zero_shot`
            scores = _weighed(scores, predicted["beside"])
        gold = rows.labels if rows.references is not None else None
        return pd.DataFrame({"id": rows.ids, **answer_columns(scores, gold)})


def _weighed(
    scores: Float[np.ndarray, "templates items labels"], beside: Float[np.ndarray, "N labels"]
) -> Float[np.ndarray, "templates items labels"]:
    """Return log(w softmax(scores) + beside), with w what the shares in `beside` leave of 1.

    The rows of one sentence with different numbers of blanks have the same shares, so the first one's count.
    """
    templates, items, labels = scores.shape
    shares = beside.reshape(items, templates, -1, labels)[:, :, 0].transpose(1, 0, 2)
    language = np.exp(scores - scores.max(axis=2, keepdims=True))
    language /= language.sum(axis=2, keepdims=True)
    weight = np.clip(1.0 - shares.sum(axis=2, keepdims=True), 0.0, 1.0)
    return np.log(np.maximum(weight * language + shares, np.finfo(np.float64).tiny))


def _by_template(
    task: TaskParams, rows: int, scores: Float[np.ndarray, "N L"]
) -> Float[np.ndarray, "templates items labels"]:
    """Return each label's score in the row with as many blanks as it has tokens."""
    parts = scores.astype(np.float64).reshape(rows, len(task.templates), -1, scores.shape[1])
    whole = np.where(np.isnan(parts), -np.inf, parts).max(axis=2)  # (items, templates, labels)
    lost = ~np.isfinite(whole).all(axis=2)
    if lost.any():
        template = task.templates[int(np.flatnonzero(lost.any(axis=0))[0])]
        raise ParamsError(
            f"task {task.name}: no scores for {int(lost.sum())} sentences, as of template {template!r}; "
            "raise backbone.max_length, or lower the learning rates if the model's outputs are not finite"
        )
    return whole.transpose(1, 0, 2)
