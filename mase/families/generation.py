"""Generation of a sentence (CommonGen): targets are tokens, information is per token, many metrics.

Answers are log p of each target token, (N, T), given the tokens before it; labels are the tokens, padded
with -100. Of one modality they are (N, T, 2), the second what the same decoder gives without its h^m.

Reading of the paper:
    H(y) - H(y | h^m) of Eq. 10 is, for a sentence, the mean over tokens of log p(y_t | y_<t, h^m) less
    log p(y_t | y_<t), I(h^m; y_t | y_<t): what the tokens before tell, all modalities would be credited with
    alike if p(y_t) were the frequency of a token. p(y_t | y_<t) is the decoder with the training mean of h^m
    in the place of h^m (`mase.model.generation`).
"""

from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mase.em.information import Information
from mase.em.interpolation import interpolated_information
from mase.em.losses import precise
from mase.evaluation.metrics.generation import java_columns, score_columns
from mase.families.family import Answered, Family
from mase.params import TaskParams

PADDED = -100  # stands behind the end of a target


class Generation(Family):
    """Labels (N, T) are token ids; a prediction is a sentence."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return 0: the decoder takes the place of a head on one vector."""
        return 0

    def loss(
        self, logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], head: Any
    ) -> Float[Tensor, ""]:
        """Return the mean cross entropy per target token, in nats."""
        return functional.cross_entropy(precise(logits).flatten(0, 1), labels.flatten(), ignore_index=PADDED)

    def log_likelihood(
        self, answers: Float[Tensor, "N T"], labels: Int[Tensor, "N T"], head: Any
    ) -> Float[Tensor, "N"]:
        """Return log p of each target sentence."""
        return answers.masked_fill(labels == PADDED, 0.0).sum(1)

    def information(
        self,
        answers: Float[Tensor, "N T 2"],
        labels: Int[Tensor, "N T"],
        *,
        calibrate: bool,
        prior: Tensor | None,
    ) -> Information:
        """Return how much more likely h^m makes a target token than the tokens before it do, in nats.

        Args:
            answers: log p of each token with h^m, and with its training mean, which is the base.
            prior: not needed.
        """
        told, base = answers.unbind(-1)
        return interpolated_information(told, base, labels != PADDED, calibrate=calibrate)

    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return the sentences, their references and what metrics read, a line per example.

        The constant prediction beside them is the best that needs no model: the concepts, joined by
        spaces. Its coverage is 1, since it copies what is asked for: no chance level, so there is none.
        """
        rows, tokens = answered.rows, torch.from_numpy(answered.predicted["tokens"])
        assert answered.tokenizer is not None
        written = answered.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        sentences = [text.strip() for text in written]
        frame = pd.DataFrame({"id": rows.ids, "label": rows.labels, "prediction": sentences})
        if rows.references is None:
            return frame
        concepts = [text.split() for text in rows.texts_a]
        copies = [" ".join(words) for words in concepts]
        columns = score_columns(sentences, rows.references, concepts)
        columns |= java_columns(sentences, rows.references, task.metrics)
        constant = score_columns(copies, rows.references, concepts)
        constant |= java_columns(copies, rows.references, task.metrics)
        columns |= {f"constant_{name}": values for name, values in constant.items() if name != "coverage"}
        frame["references"] = [list(group) for group in rows.references]
        return frame.assign(**columns)
