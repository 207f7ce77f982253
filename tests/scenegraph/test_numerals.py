"""Numerals in words and digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.scenegraph.numerals import NUMERALS, grammatical_number, leading_numeral, numeral


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("two", "2"),
        ("2", "2"),
        ("007", "007"),
        ("twenty five", "25"),
        ("twenty-five", "25"),
        ("two dozen", "24"),
        ("3 hundred", "300"),
        ("ninety nine", "99"),
        ("hundred", "100"),
        ("five twenty", ""),
        ("twenty-dog", ""),
        ("five-two", ""),
        ("\u0663", ""),
        ("dog", ""),
        ("", ""),
    ],
)
def test_digits(text: str, digits: str) -> None:
    assert numeral(text.split()) == digits


def test_only_what_belongs_together_is_joined() -> None:
    assert leading_numeral(["a", "twenty", "five", "ten"], 1) == ("25", 3)
    assert leading_numeral(["hundred", "hundred"], 0) == ("100", 1)
    assert leading_numeral(["dog"], 0) == ("", 0)
    assert leading_numeral([], 0) == ("", 0)


@given(st.lists(st.sampled_from([*NUMERALS, "dog", "3", "twenty-two"]) | st.text(max_size=4), max_size=8))
def test_any_words(words: list[str]) -> None:
    value, end = leading_numeral(words, 0)
    assert 0 <= end <= len(words)
    assert (end > 0) == bool(value)
    assert not value or value.isdigit()


@pytest.mark.parametrize(
    ("tag", "attributes", "number"),
    [
        ("NNS", (), "plural"),
        ("NNPS", ("red",), "plural"),
        ("NN", ("red",), "singular"),
        ("NN", ("red", "2"), "plural"),
        ("NNS", ("1",), "singular"),
        ("NN", ("2" * 5000,), "singular"),
    ],
)
def test_number(tag: str, attributes: tuple[str, ...], number: str) -> None:
    assert grammatical_number(tag, attributes) == number
