"""Metrics of closed-set probes: how many templates rank the gold label first, and how much they differ.

An item's answers to T templates are kept as one whole number, `hits`: bit t - 1 is set where template t
is right. `accuracy` is the mean over templates, the paper's reading; VaLM's pooled accuracy is the same
number, since every template asks every item. `best_template` and `any_template` are **oracles**: they
are chosen with the labels. Columns of the predictions:

    prediction         the label with the highest score averaged over templates
    ensemble           whether that is right
    correct            share of templates that are right
    hits, templates    as above, and T
    template_<t>       the label that template t ranks first
    probability_<k>    softmax of the averaged scores
    spearman           of the averaged scores and the object's mined distribution, where the data have one
    constant_<column>  the same for always giving the probe's most frequent label
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from mase.evaluation.metrics.closed_set import closed_set_scores, distribution_spearman
from mase.evaluation.metrics.means import mean_metric, resampled_mean
from mase.evaluation.metrics.metric import Metric, weighted_sums

MOST_TEMPLATES = 52  # bits of a whole number that a float64 holds exactly


def answer_columns(
    scores: Float[np.ndarray, "templates items labels"], gold: Int[np.ndarray, "items *k"] | None
) -> dict[str, np.ndarray]:
    """Return the predictions' columns; those that need an answer are left out where `gold` is None.

    Args:
        scores: log-probabilities.
        gold: the gold labels, (items,), or (items, 1 + labels) with the counts of each label behind them.

    Raises:
        ValueError: if there are more than `MOST_TEMPLATES`, or as `closed_set_scores`.
    """
    templates, _, labels = scores.shape
    if templates > MOST_TEMPLATES:
        raise ValueError(f"{templates} templates, but at most {MOST_TEMPLATES} can be kept")
    averaged = scores.mean(axis=0)
    shares = softmax(averaged, axis=1)
    columns = {
        "prediction": averaged.argmax(axis=1),
        **{f"template_{t}": said.argmax(axis=1) for t, said in enumerate(scores, start=1)},
        **{f"probability_{k}": shares[:, k] for k in range(labels)},
    }
    if gold is None:
        return columns
    classes = gold if gold.ndim == 1 else gold[:, 0]
    found = closed_set_scores(scores, classes)
    constant = classes == np.bincount(classes, minlength=labels).argmax()
    columns |= {
        "label": classes,
        **_judged("", found.correct, found.ensemble_correct),
        **_judged("constant_", np.broadcast_to(constant, found.correct.shape), constant),
        "templates": np.full(classes.shape, templates),
        "chance": np.full(classes.shape, found.chance),
    }
    if gold.ndim > 1:
        columns["spearman"] = distribution_spearman(averaged, gold[:, 1:].astype(np.float64))
    return columns


def _judged(prefix: str, correct: np.ndarray, together: np.ndarray) -> dict[str, np.ndarray]:
    bits = 1 << np.arange(len(correct), dtype=np.int64)
    return {
        f"{prefix}correct": correct.mean(axis=0),
        f"{prefix}hits": bits @ correct,
        f"{prefix}ensemble": together.astype(np.float64),
    }


def _unpacked(columns: Float[np.ndarray, "*S n 2"]) -> Float[np.ndarray, "*S n T"]:
    """Return whether each template is right, from `hits` and `templates`."""
    hits, templates = columns[..., 0].astype(np.int64), int(columns[..., 1].max())
    return (hits[..., None] >> np.arange(templates) & 1).astype(np.float64)


def _over_templates(
    name: str, summary: Callable[[np.ndarray], np.ndarray], *, has_constant: bool = True
) -> Metric:
    """Return a metric of the templates' accuracies, (..., T) -> (...)."""

    def value(labels: np.ndarray, predictions: np.ndarray) -> float:
        return float(summary(_unpacked(predictions).mean(axis=0)))

    def resampled(labels: np.ndarray, predictions: np.ndarray, counts: np.ndarray) -> np.ndarray:
        sums = [weighted_sums(counts, right) for right in _unpacked(predictions)]  # S of (R, T)
        return summary(np.stack(sums, axis=1) / len(labels))

    columns = ("hits", "templates")
    return Metric(name, "cloze", value, resampled, columns=columns, has_constant=has_constant)


def _spread(accuracies: Float[np.ndarray, "*S T"]) -> Float[np.ndarray, "*S"]:
    single = accuracies.shape[-1] == 1
    return accuracies.std(axis=-1, ddof=0 if single else 1)


def _best(accuracies: Float[np.ndarray, "*S T"]) -> Float[np.ndarray, "*S"]:
    return accuracies.max(axis=-1)


def _any(columns: Float[np.ndarray, "*S n 2"]) -> Float[np.ndarray, "*S n"]:
    return (columns[..., 0] > 0).astype(np.float64)


METRICS = (
    mean_metric("accuracy", "cloze", "correct"),
    mean_metric("ensemble", "cloze", "ensemble"),
    mean_metric("spearman", "cloze", "spearman"),
    mean_metric("majority", "cloze", "constant_correct"),
    mean_metric("chance", "cloze", "chance"),
    _over_templates("template_sd", _spread, has_constant=False),
    _over_templates("best_template", _best),
    Metric(
        "any_template",
        "cloze",
        lambda labels, predictions: float(_any(predictions).mean()),
        lambda labels, predictions, counts: resampled_mean(_any(predictions), counts),
        lambda labels, predictions: _any(predictions),
        columns=("hits", "templates"),
    ),
)
