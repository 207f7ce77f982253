"""Visual question answering: soft scores over a vocabulary of answers, from ten people's words.

An answer of the vocabulary is an answer as the official evaluation processes it. Its target is the
official accuracy that it would get: .3, .6, .9 and 1 for one, two, three and more of ten people, as in
Up-Down and ViLBERT; min(count / 3, 1), the other form in use, differs by less than .1.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mase.data import Rows
from mase.data.vqa import ANSWER_TYPES
from mase.em.bernoulli import bernoulli_information
from mase.em.information import Information
from mase.em.losses import precise
from mase.errors import DataError
from mase.evaluation.metrics.vqa import ENOUGH, TYPE_COLUMNS, process_answer, soft_accuracy
from mase.families.family import Answered, Family
from mase.params import TaskParams
from mase.params.vqa import VqaParams

UNKNOWN, NOBODY = -1, -2
"""In place of a class id: an answer that is no class, and no answer (people gave fewer than others got)."""

RESULTS = "vqa_results.json"


def vqa_params(task: TaskParams) -> VqaParams:
    """Return the part of a task's params that only this family has."""
    return VqaParams() if task.vqa is None else task.vqa


def most_frequent(answers: Sequence[str]) -> str:
    """Return the answer that most people give, once processed; of equals the first in the alphabet."""
    return _commonest(Counter(map(process_answer, answers)))


def _commonest(counts: Mapping[str, int]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer))


def answer_vocabulary(
    references: Sequence[Sequence[str]], *, at_least: int, at_most: int | None = None
) -> tuple[str, ...]:
    """Return the answers that are classes, the most frequent first, equals in the order of the alphabet.

    A question counts for its most frequent answer alone, as for `multiple_choice_answer` in the
    official files.
    """
    counts = Counter(map(most_frequent, references))
    order = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(answer for answer in order if counts[answer] >= at_least)[:at_most]


class Vocabulary(tuple[str, ...]):
    """The answers that are classes, and the most frequent training answer of each answer type.

    `by_type` is for evaluation beside the training rows; a kept model's vocabulary is a plain tuple.
    """

    by_type: Mapping[str, str]

    def __new__(cls, answers: Sequence[str], by_type: Mapping[str, str]) -> "Vocabulary":
        """Return the answers with those of the types."""
        found = super().__new__(cls, answers)
        found.by_type = dict(by_type)
        return found


def most_frequent_by_type(train: Rows) -> dict[str, str]:
    """Return the answer that is most questions' most frequent one, of each answer type that the rows have."""
    counts: dict[str, Counter[str]] = {}
    for kind, answers in zip(train.strata or (), train.references or (), strict=False):
        counts.setdefault(kind, Counter())[most_frequent(answers)] += 1
    return {kind: _commonest(found) for kind, found in counts.items()}


def answer_ids(references: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> Int[Tensor, "n K"]:
    """Return the class of every person's answer, K of the question with most; see `UNKNOWN`, `NOBODY`."""
    classes = {answer: number for number, answer in enumerate(vocabulary)}
    found = torch.full((len(references), max(map(len, references))), NOBODY)
    for row, answers in enumerate(references):
        ids = [classes.get(process_answer(answer), UNKNOWN) for answer in answers]
        found[row, : len(ids)] = torch.tensor(ids)
    return found


def soft_targets(answers: Int[Tensor, "B K"], classes: int) -> Float[Tensor, "B A"]:
    """Return the official accuracy that each class would get, in [0, 1].

    With c of n people: the mean over the n subsets of the others of min(matches / 3, 1).
    """
    columns = torch.where(answers < 0, classes, answers)  # one column more than classes, for the rest
    counts = torch.zeros(len(answers), classes + 1, device=answers.device)
    counts = counts.scatter_add(1, columns, torch.ones_like(columns, dtype=counts.dtype))[:, :classes]
    people = (answers != NOBODY).sum(1, keepdim=True)
    with_one_less = counts * ((counts - 1) / ENOUGH).clamp(0.0, 1.0)
    with_all = (people - counts) * (counts / ENOUGH).clamp(max=1.0)
    return (with_one_less + with_all) / people


class Vqa(Family):
    """Labels are the class ids of all people's answers, (n, K) int64; outputs are logits over A answers."""

    def outputs(self, task: TaskParams, labels: tuple[str, ...] = ()) -> int:
        """Return A."""
        return len(labels)

    def vocabulary(self, task: TaskParams, train: Rows) -> tuple[str, ...]:
        """Return the answers that are frequent among the training questions.

        Raises:
            DataError: if fewer than two are.
        """
        params = vqa_params(task)
        found = answer_vocabulary(
            train.references or (), at_least=params.answers_at_least, at_most=params.answers_at_most
        )
        if len(found) < 2:
            raise DataError(
                f"task {task.name}: {len(found)} answers are the most frequent one of "
                f"{params.answers_at_least} or more of {len(train)} training questions; "
                "lower task.vqa.answers_at_least or take more rows"
            )
        return Vocabulary(found, most_frequent_by_type(train))

    def shares(self, task: TaskParams, train: Rows, labels: tuple[str, ...]) -> tuple[float, ...]:
        """Return the mean target of each answer among the training questions."""
        return tuple(mean_targets(answer_ids(train.references or (), labels), len(labels)).tolist())

    def loss(self, logits: Float[Tensor, "B A"], labels: Tensor, head: Any) -> Float[Tensor, ""]:
        """Return the binary cross entropy (Eq. 7), summed over answers, in nats per question.

        Reading of the paper:
            Eq. 7 is a cross entropy, in nats per example. Summed over answers (as in Up-Down and
            ViLBERT) this is one too, so alpha means what it means elsewhere; averaged over 3,129
            answers it would be three thousand times smaller.
        """
        return -self.log_likelihood(logits, labels, head).mean()

    def log_likelihood(self, answers: Float[Tensor, "N A"], labels: Tensor, head: Any) -> Float[Tensor, "N"]:
        """Return sum over answers of t log p + (1 - t) log(1 - p), in nats, t being the soft target."""
        logits = precise(answers)
        targets = soft_targets(labels, logits.shape[1]).to(logits.dtype)
        return -functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)

    def information(
        self, answers: Float[Tensor, "N A *two"], labels: Tensor, *, calibrate: bool, prior: Tensor | None
    ) -> Information:
        """Return the gain in log likelihood over the answers' prior, or regions alone, nats per question.

        Args:
            answers: logits; with a last dimension of two, those of a modality beside the regions and,
                as the base, those of the regions alone (`VqaModel.answers`).

        Reading of the paper:
            Every modality alone looks at the regions too. Judged against the prior, each would have
            I(regions) in its estimate, and Eq. 11 would make of the small rest a uniform z.
        """
        targets = soft_targets(labels, answers.shape[1])
        own, base = (answers[..., 0], answers[..., 1]) if answers.ndim == 3 else (answers, None)
        return bernoulli_information(own, targets, calibrate=calibrate, prior=prior, base=base)

    def prior(self, task: TaskParams, labels: Tensor) -> Tensor | None:
        """Return the mean target of each answer, float64 (A,).

        Every class is the answer of some training question, so the largest id says how many there are.
        """
        return mean_targets(labels, int(labels.max()) + 1)

    def frame(self, task: TaskParams, answered: Answered) -> pd.DataFrame:
        """Return the predicted answer of every question, `confidence` in it, and its official accuracy.

        `label` is the class of the most frequent human answer, -1 if it is none; `yes_no`, `number` and
        `other` are 1 for questions of that type; `constant_vqa_accuracy` is what the most frequent
        training answer would get, and `constant_<type>_vqa_accuracy` the most frequent one of that type.
        """
        rows, labels, predicted = answered.rows, answered.labels, answered.predicted
        texts = [labels[answer] for answer in predicted["answer"].tolist()]
        said = {"prediction": texts, "confidence": predicted["confidence"]}
        if rows.references is None or rows.strata is None:
            return pd.DataFrame({"id": rows.ids, **said})
        classes = {answer: number for number, answer in enumerate(labels)}
        columns: dict[str, Any] = {
            "id": rows.ids,
            "label": [classes.get(most_frequent(answers), UNKNOWN) for answers in rows.references],
            **said,
            "vqa_accuracy": [soft_accuracy(t, a) for t, a in zip(texts, rows.references, strict=True)],
            "constant_vqa_accuracy": [soft_accuracy(labels[0], answers) for answers in rows.references],
        }
        kinds = np.array(rows.strata)
        for name in ANSWER_TYPES:
            columns[TYPE_COLUMNS[name]] = (kinds == name).astype(np.int64)
        for name, constant in (labels.by_type if isinstance(labels, Vocabulary) else {}).items():
            of_type = [soft_accuracy(constant, answers) for answers in rows.references]
            columns[f"constant_{TYPE_COLUMNS[name]}_vqa_accuracy"] = of_type
        return pd.DataFrame(columns)

    def files(self, task: TaskParams, frame: pd.DataFrame) -> dict[str, str]:
        """Return the predictions as the official evaluation reads them: `vqa_results.json`."""
        numbers = [int(name) if name.isdigit() else name for name in frame["id"]]
        results = [
            {"question_id": number, "answer": answer}
            for number, answer in zip(numbers, frame["prediction"], strict=True)
        ]
        return {RESULTS: json.dumps(results, ensure_ascii=False)}


def mean_targets(labels: Int[Tensor, "n K"], classes: int) -> Float[Tensor, "A"]:
    """Return the mean target of each class, float64, in blocks of questions."""
    total = torch.zeros(classes, dtype=torch.float64)
    for block in labels.split(4096):
        total += soft_targets(block, classes).double().sum(0)
    return total / len(labels)
