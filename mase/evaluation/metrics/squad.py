"""SQuAD v2.0: exact match, F1, the answerable and unanswerable parts, and the best thresholds.

Everything equals the official script `evaluate-v2.0.py` (Rajpurkar et al. 2018), but as shares in
[0, 1] where it prints percent. Its quirks are kept:

- Only ASCII punctuation is dropped: curly quotes and dashes stay and cost the match.
- An answerable question whose gold answers are all empty once normalised ("the") counts as HasAns,
  and only the empty answer is right.
- The main numbers replace a prediction by "no answer" where its probability is *above* the threshold
  (1.0 by default, so never for probabilities); the search for the best threshold starts again from the
  raw predictions.
- That search walks the questions in order of no-answer probability, ties in the order of `na_probs`,
  and may stop inside a group of ties, at a score that no threshold reaches.
- In that search an unanswerable question is lost if its predicted *text* is not empty, even where that
  text is empty once normalised.

The script also draws precision-recall curves if it is asked for images; those are left out.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

THRESHOLD = 1.0
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower a text, drop ASCII punctuation, then whole-word articles, then surplus white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(gold: str, predicted: str) -> float:
    """Return 1 if both texts are equal once normalised, else 0."""
    return float(normalise_answer(gold) == normalise_answer(predicted))


def token_f1(gold: str, predicted: str) -> float:
    """Return F1 = 2PR / (P + R) over the bags of normalised tokens, in [0, 1].

    If either bag is empty, the score is 1 if both are and 0 otherwise.
    """
    gold_tokens, tokens = normalise_answer(gold).split(), normalise_answer(predicted).split()
    if not gold_tokens or not tokens:
        return float(gold_tokens == tokens)
    same = (Counter(gold_tokens) & Counter(tokens)).total()
    if same == 0:
        return 0.0
    precision, recall = same / len(tokens), same / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class SpanScores:
    """The scores of each question, in the order of the gold answers.

    Attributes:
        exact: the best exact match over the gold answers, 0 or 1, thresholded.
        f1: the best F1 over the gold answers, thresholded.
        has_answer: whether the data set gives an answer.
        raw_exact: `exact` before the threshold.
        raw_f1: `f1` before the threshold.
        answered: whether the predicted text is not empty.
        order: the questions by rising no-answer probability; None without these.
        probability: the no-answer probability of each question; None without these.
    """

    exact: Float[np.ndarray, "n"]
    f1: Float[np.ndarray, "n"]
    has_answer: Bool[np.ndarray, "n"]
    raw_exact: Float[np.ndarray, "n"]
    raw_f1: Float[np.ndarray, "n"]
    answered: Bool[np.ndarray, "n"]
    order: Int[np.ndarray, "n"] | None = None
    probability: Float[np.ndarray, "n"] | None = None


def span_scores(
    gold: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    na_probs: Mapping[str, float] | None = None,
    *,
    threshold: float = THRESHOLD,
) -> SpanScores:
    """Score predicted texts question by question.

    Args:
        gold: the gold answers by question id; none for an unanswerable question.
        predictions: the predicted text by question id, "" for no answer.
        na_probs: how probable it is that there is no answer, by question id. Score differences do
            as well, on their own scale, with a `threshold` on that scale.
        threshold: above it a prediction counts as "no answer".

    Raises:
        ValueError: if there is no question, or one has no prediction or probability (the script
            warns and then fails, or fails).
    """
    for name, given in (("prediction", predictions), ("no-answer probability", na_probs)):
        missing = [] if given is None else [question for question in gold if question not in given]
        if missing or not gold:
            raise ValueError(f"{len(missing)} of {len(gold)} questions have no {name}: {missing[:3]}")
    exact = _best_over_gold(exact_match, gold, predictions)
    f1 = _best_over_gold(token_f1, gold, predictions)
    has_answer = np.array([bool(answers) for answers in gold.values()])
    answered = np.array([bool(predictions[question]) for question in gold])
    if na_probs is None:
        return SpanScores(exact, f1, has_answer, exact, f1, answered)
    probability = np.array([na_probs[question] for question in gold], dtype=np.float64)
    dropped, right = probability > threshold, (~has_answer).astype(np.float64)
    places = {question: place for place, question in enumerate(gold)}
    order = np.array([places[q] for q in sorted(na_probs, key=na_probs.__getitem__) if q in places])
    return SpanScores(
        np.where(dropped, right, exact),
        np.where(dropped, right, f1),
        has_answer,
        exact,
        f1,
        answered,
        order,
        probability,
    )


def score(
    gold: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    na_probs: Mapping[str, float] | None = None,
    *,
    threshold: float = THRESHOLD,
) -> dict[str, float]:
    """Return the official script's numbers under its names; the arguments are those of `span_scores`.

    Returns:
        `exact` and `f1` in [0, 1], the same with `HasAns_` and `NoAns_` in front where there are
        such questions, their sizes `total`, `HasAns_total`, `NoAns_total`; with `na_probs` also
        `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`, the threshold in the
        units of `na_probs` (0.0 where answering nothing is best).
    """
    scores = span_scores(gold, predictions, na_probs, threshold=threshold)
    groups = {"": np.ones_like(scores.has_answer), "HasAns_": scores.has_answer, "NoAns_": ~scores.has_answer}
    values: dict[str, float] = {}
    for prefix, members in groups.items():
        if members.any():
            values[f"{prefix}exact"] = float(scores.exact[members].mean())
            values[f"{prefix}f1"] = float(scores.f1[members].mean())
            values[f"{prefix}total"] = float(members.sum())
    if na_probs is not None:
        for name, raw in (("best_exact", scores.raw_exact), ("best_f1", scores.raw_f1)):
            values[name], values[f"{name}_thresh"] = best_threshold(scores, raw)
    return values


def best_threshold(scores: SpanScores, raw: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Return the best score over thresholds on the no-answer probability, and that threshold.

    Start with no answer everywhere, which the unanswerable questions get right; then answer one
    question after the other. The first of equal maxima is taken.
    """
    if scores.order is None or scores.probability is None:
        raise ValueError("the best threshold needs no-answer probabilities")
    gained = gains(raw, scores.has_answer, scores.answered)[scores.order]
    running = np.cumsum([float((~scores.has_answer).sum()), *gained])
    at = int(running.argmax())
    return float(running[at]) / raw.size, float(scores.probability[scores.order[at - 1]]) if at else 0.0


def gains(
    raw: Float[np.ndarray, "n"], has_answer: Bool[np.ndarray, "n"], answered: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return what answering a question adds to the score of leaving it unanswered."""
    return np.where(has_answer, raw, -answered.astype(np.float64))


def _best_over_gold(
    compare: Callable[[str, str], float], gold: Mapping[str, Sequence[str]], predictions: Mapping[str, str]
) -> Float[np.ndarray, "n"]:
    best = []
    for question, answers in gold.items():
        kept = [answer for answer in answers if normalise_answer(answer)] or [""]
        best.append(max(compare(answer, predictions[question]) for answer in kept))
    return np.array(best)
