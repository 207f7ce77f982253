"""Numerals as digits, and whether a noun phrase is about one thing or several."""

from collections.abc import Sequence
from typing import Literal

Number = Literal["singular", "plural"]

NUMERALS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "dozen": "12",
    "thousand": "1000",
}
MULTIPLIERS = frozenset(("dozen", "hundred", "thousand"))
PLURAL_TAGS = frozenset(("NNS", "NNPS"))
LONGEST = 9
"""Digits of a count."""
_TENS = range(20, 100, 10)


def numeral(words: Sequence[str]) -> str:
    """Return the digits that words (lower case) say: "two", "2", "twenty five", "two dozen"; "" if none."""
    value, end = leading_numeral(words, 0)
    return value if end == len(words) else ""


def leading_numeral(words: Sequence[str], start: int) -> tuple[str, int]:
    """Return the longest numeral that begins at `start` as digits, and where it ends; ("", start) if none."""
    value = _digits(words[start]) if start < len(words) else ""
    if not value:
        return "", start
    total, end = int(value), start + 1
    while end < len(words) and (following := _digits(words[end])):
        if words[end] in MULTIPLIERS and total < int(following):
            total *= int(following)
        elif total in _TENS and int(following) < 10:
            total += int(following)
        else:
            break
        end += 1
    return (value if end == start + 1 else str(total)), end


def grammatical_number(tag: str, attributes: Sequence[str]) -> Number:
    """Return the number of a noun: a numeral among its attributes decides, else its Penn tag."""
    count = next((value for value in attributes if _is_digits(value)), None)
    if count is not None:
        return "singular" if int(count) == 1 else "plural"
    return "plural" if tag in PLURAL_TAGS else "singular"


def _digits(word: str) -> str:
    """Return one token's digits; a hyphen joins two of them ("twenty-five")."""
    if word in NUMERALS:
        return NUMERALS[word]
    if _is_digits(word):
        return word
    tens, hyphen, ones = word.partition("-")
    first, second = NUMERALS.get(tens, ""), NUMERALS.get(ones, "")
    both = hyphen and first and second and int(first) in _TENS and 0 < int(second) < 10
    return str(int(first) + int(second)) if both else ""


def _is_digits(text: str) -> bool:
    """Say whether a text is a short run of the digits 0 to 9; a long one is a name, not a count."""
    return len(text) <= LONGEST and text.isascii() and text.isdigit()
