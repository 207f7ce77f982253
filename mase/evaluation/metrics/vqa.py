"""VQA v2.0: the official soft accuracy, bug for bug, by answer type and question type.

A question has ten human answers. Its accuracy is the mean over the ten leave-one-out subsets of
min(matching answers / 3, 1), in [0, 1]: 0, .3, .6, .9 and 1 for 0, 1, 2, 3 and more matches
(Antol et al. 2015; `vqaEval.py` of GT-Vision-Lab/VQA, which prints percent with two decimals).
Quirks of that script that are kept:

- Texts are processed **only where the ten answers are not all the same**. Where they are, "Yes" or
  "yes." is wrong beside ten times "yes". Texts are compared with their case.
- A punctuation mark becomes a space, unless it stands next to a space somewhere in the text, or the text
  has a comma between two digits: then it is deleted (`white,red` gives `white red`, `2,000-3` gives `20003`).
  The apostrophe, the colon, `$`, `%`, `&`, `*`, `#` and `|` are no such marks.
- A period goes unless a digit follows: `2.` gives `2` and `.5` stays. Its pattern begins with a mistyped
  look-behind that is always true, and its flag is passed as a count: only the first 32 periods go.
- `none` is 0, as are the words zero to ten their digits, each only as a whole word.
- Articles go wherever they stand: the answer "a" is empty.
- Contractions get their apostrophe back from a fixed list. `somebody'd` loses it, and the entries
  with a capital I match nothing, since texts are lower by then.

Earlier versions of the script (until 2018) also processed a prediction where the answers agree, and
never the articles, number words and contractions of the human answers; their numbers differ a little.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from mase.evaluation.metrics.means import mean_metric, resampled_mean, resampled_ratio
from mase.evaluation.metrics.metric import Metric

ENOUGH = 3
"""So many other people with the same answer make it fully right."""

MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_PERIODS_AT_MOST = 32  # the value of re.UNICODE, which the script passes as the count

_NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()
NUMBERS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)} | {"none": "0"}
ARTICLES = frozenset(("a", "an", "the"))

_CONTRACTED = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't "
    "he'd he'd've he's how'd how'll how's I'd've I'm I've isn't it'd it'd've it'll ma'am mightn't "
    "mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've "
    "should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll "
    "someone's something'd something'd've something'll that's there'd there'd've there're there's they'd "
    "they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've "
    "when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've "
    "wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
).split()


def _without_one_apostrophe(form: str) -> Iterator[str]:
    for place, letter in enumerate(form):
        if letter == "'":
            yield form[:place] + form[place + 1 :]


CONTRACTIONS = {short: form for form in _CONTRACTED for short in _without_one_apostrophe(form)} | {
    "somebody'd": "somebodyd"
}
"""Each listed form by how it is written with one of its apostrophes left out."""


def strip_punctuation(text: str) -> str:
    """Replace or delete the marks of `MARKS`, then delete periods; see the module on when."""
    delete_all = _DIGIT_COMMA.search(text) is not None
    stripped = text
    for mark in MARKS:
        beside_space = f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if delete_all or beside_space else " ")
    return _PERIOD.sub("", stripped, count=_PERIODS_AT_MOST)


def plain_words(text: str) -> str:
    """Lower a text, write number words as digits, drop articles, restore contractions."""
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def process_answer(text: str) -> str:
    """Return an answer as the official script compares it where people disagree.

    >>> process_answer("Two dogs, a cat.")
    '2 dogs cat'
    """
    return plain_words(strip_punctuation(text))


def soft_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Return the official accuracy of one question, in [0, 1]; see the module.

    Args:
        prediction: the predicted answer as the model wrote it.
        answers: the human answers as annotated, ten in VQA.

    Raises:
        ValueError: if there are no answers.
    """
    if not answers:
        raise ValueError("a question needs at least one human answer, got none")
    predicted, given = _one_line(prediction), [_one_line(answer) for answer in answers]
    if len(set(given)) > 1:
        predicted, given = process_answer(predicted), [process_answer(answer) for answer in given]
    matches = given.count(predicted)
    with_one_less = matches * min(1.0, (matches - 1) / ENOUGH)
    with_all = (len(given) - matches) * min(1.0, matches / ENOUGH)
    return (with_one_less + with_all) / len(given)


def accuracies(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> Float[np.ndarray, "n"]:
    """Return the official accuracy of each question.

    Raises:
        ValueError: if the lengths differ.
    """
    return np.array([soft_accuracy(text, given) for text, given in zip(predictions, answers, strict=True)])


def by_type(accuracy: Float[np.ndarray, "n"], types: Sequence[str]) -> dict[str, float]:
    """Return the mean accuracy of each answer type or question type, by name in sorted order."""
    return {name: float(accuracy[members].mean()) for name, members in _members(types).items()}


def score(
    predictions: Sequence[str], answers: Sequence[Sequence[str]], answer_types: Sequence[str]
) -> dict[str, float]:
    """Return `overall` and each answer type ("yes/no", "number", "other") in [0, 1]."""
    accuracy = accuracies(predictions, answers)
    return {"overall": float(accuracy.mean()), **by_type(accuracy, answer_types)}


def resampled_by_type(
    accuracy: Float[np.ndarray, "S n"], types: Sequence[str], counts: UInt8[np.ndarray, "R n"]
) -> dict[str, Float[np.ndarray, "R S"]]:
    """Return `overall` and the mean of each type, of each seed on each resample."""
    found = {"overall": resampled_mean(accuracy, counts)}
    for name, members in _members(types).items():
        found[name] = resampled_ratio(accuracy * members, members, counts)
    return found


def _members(types: Sequence[str]) -> dict[str, Bool[np.ndarray, "n"]]:
    array = np.asarray(types)
    return {str(name): array == name for name in np.unique(array)}


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


TYPE_COLUMNS = {"yes/no": "yes_no", "number": "number", "other": "other"}
"""Columns of the predictions that are 1 for questions of an answer type, 0 for others."""


def _mean_of_type(labels: np.ndarray, columns: Float[np.ndarray, "n 2"]) -> float:
    """Return the mean accuracy of the questions of a type; 0 where there are none."""
    members = columns[:, 1].sum()
    return float((columns[:, 0] * columns[:, 1]).sum() / members) if members else 0.0


def _resampled_of_type(
    labels: np.ndarray, columns: Float[np.ndarray, "S n 2"], counts: np.ndarray
) -> np.ndarray:
    return resampled_ratio(columns[..., 0] * columns[..., 1], columns[0, :, 1], counts)


METRICS = (
    mean_metric("vqa_accuracy", "vqa", "vqa_accuracy"),
    *(
        Metric(name, "vqa", _mean_of_type, _resampled_of_type, columns=("vqa_accuracy", name))
        for name in TYPE_COLUMNS.values()
    ),
)
