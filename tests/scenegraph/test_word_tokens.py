"""Sentences and tokens: NLTK's tokens, exact offsets, linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer

from mase.scenegraph.tokens import sentence_spans, word_spans


def tokens(text: str) -> list[str]:
    return [text[i:j] for i, j in word_spans(text)]


def sentences(text: str) -> list[str]:
    return [text[i:j] for i, j in sentence_spans(text)]


@pytest.mark.parametrize(
    "text",
    [
        "a man riding a horse .",
        "The dog isn't barking at the cat's toy.",
        'He said (quietly) that "it\'s fine" -- twice!',
        "You cannot pay $3.88, can you?",
        "t-shirt with 12 stripes",
        "well-known face.",
        "gonna go -- now",
    ],
)
def test_tokens_are_those_of_nltk(text: str) -> None:
    expected = [{"``": '"', "''": '"'}.get(t, t) for t in NLTKWordTokenizer().tokenize(text)]
    assert tokens(text) == expected


@given(st.text(alphabet="ab C1-. ", max_size=40))
def test_the_direct_path_agrees_with_nltk(text: str) -> None:
    assert tokens(text) == NLTKWordTokenizer().tokenize(text)


def test_curly_quotes_are_read_as_straight_ones_and_keep_their_offsets() -> None:
    assert tokens("the man\u2019s hat") == ["the", "man", "\u2019s", "hat"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A cat. A dog.", ["A cat.", "A dog."]),
        ("Mr. Smith paid 3.5 million. He left.", ["Mr. Smith paid 3.5 million.", "He left."]),
        ("in the U.S. Senate today", ["in the U.S. Senate today"]),
        ("it rains . it pours .", ["it rains .", "it pours ."]),
        ("one\n\n two ", ["one", "two"]),
        ('"Stop!" He ran.', ['"Stop!"', "He ran."]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=200))
def test_tokens_cover_all_that_is_not_white_space_in_order(text: str) -> None:
    covered = ""
    end = 0
    for start, stop in sentence_spans(text):
        assert start >= end
        for i, j in word_spans(text, start, stop):
            assert end <= i < j <= stop
            covered += text[i:j]
            end = j
    assert covered == "".join(text.split())
