"""Tokens and n-grams that BLEU and CIDEr count.

CommonGen's evaluation splits with spaCy, keeps case and punctuation, and hands the tokens to the COCO
scorers, which split at white space (COCO's own captions go through a tokeniser that lowers and drops
punctuation; numbers of the two are not comparable). Here the tokens come from NLTK's word tokeniser, with
spaCy's differences put back: a hyphen between letters is a token, quotes stay as written, and a period after
a word is set apart inside a text too. On 41,085 CommonGen references all but 21 have spaCy's tokens; what
stays different is "wont" and its like (spaCy: "wo", "nt") and rare abbreviations.
"""

import re
from collections import Counter
from collections.abc import Sequence

from mase.scenegraph.tokens import word_spans

NGram = tuple[str, ...]
_LETTER_HYPHEN = re.compile(r"(?<=[^\W\d_])(-+)(?=[^\W\d_])")
_FINAL_PERIOD = re.compile(r"(\S*[a-z0-9%)\]\"'’”])\.(?=\s|$)")
_INNER_PERIOD = re.compile(r"(?<=[a-z])\.(?=[A-Z])")
_ABBREVIATED = frozenset(
    "mr mrs ms dr prof st jr sr vs etc inc co corp ltd mt gen gov rep rev e.g i.e".split()
)


def tokenise(text: str) -> list[str]:
    """Split a sentence into words and punctuation, case kept.

    >>> tokenise("A well-fed dog can't run. It eats.")
    ['A', 'well', '-', 'fed', 'dog', 'ca', "n't", 'run', '.', 'It', 'eats', '.']
    """
    spaced = _INNER_PERIOD.sub(" . ", _FINAL_PERIOD.sub(_without_period, text))
    words = (spaced[start:end] for start, end in word_spans(spaced))
    return [piece for word in words for piece in _LETTER_HYPHEN.split(word) if piece]


def _without_period(found: re.Match[str]) -> str:
    """Set the period after a word apart, unless it is an abbreviation or a single letter."""
    word = found.group(1)
    kept = word.lower() in _ABBREVIATED or (len(word) == 1 and word.isalpha()) or "." in word
    return found.group() if kept else f"{word} ."


def ngram_counts(tokens: Sequence[str], order: int) -> list[Counter[NGram]]:
    """Return how often each n-gram occurs, for n = 1 to `order`."""
    return [
        Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)) for n in range(1, order + 1)
    ]


def check_references(candidates: Sequence[object], references: Sequence[Sequence[object]]) -> None:
    """Refuse sentences that do not line up.

    Raises:
        ValueError: if there is no candidate, their number differs, or a candidate has no reference.
    """
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"need references for each candidate: {len(candidates)}, but {len(references)}")
    bare = [place for place, group in enumerate(references) if not group]
    if bare:
        raise ValueError(f"{len(bare)} candidates have no reference, the first is number {bare[0]}")
