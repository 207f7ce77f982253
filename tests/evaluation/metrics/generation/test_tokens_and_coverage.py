import pytest

from mase.evaluation.metrics.generation import coverage, tokenise
from mase.evaluation.metrics.generation.coverage import base_forms

# Tokens of spaCy 3.8's English tokeniser.
SPACY = {
    "A t-shirt can't cost $3,000... it's the dogs' bowl (old).": "A t - shirt ca n't cost $ 3,000 ... it 's "
    "the dogs ' bowl ( old ) .",
    "The tree stood in the sun. The leaves shone.": "The tree stood in the sun . The leaves shone .",
    "Mr. Smith cannot swim.": "Mr. Smith can not swim .",
    'He said "stop" at 10:30.': 'He said " stop " at 10:30 .',
    "I bumped it.The end": "I bumped it . The end",
    "red,white and blue": "red , white and blue",
    "A well-known mother-in-law": "A well - known mother - in - law",
    "": "",
}


@pytest.mark.parametrize(("text", "tokens"), SPACY.items())
def test_tokens_are_those_of_spacy(text: str, tokens: str) -> None:
    assert tokenise(text) == tokens.split()


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("dogs", "dog"),
        ("shoes", "shoe"),
        ("boxes", "box"),
        ("horses", "horse"),
        ("ponies", "pony"),
        ("buses", "bus"),
        ("glasses", "glass"),
        ("women", "woman"),
        ("knives", "knife"),
        ("cookies", "cookie"),
        ("running", "run"),
        ("rode", "ride"),
        ("stood", "stand"),
        ("carries", "carry"),
        ("left", "leave"),
        ("left", "left"),
        ("cat", "cat"),
    ],
)
def test_base_forms(word: str, base: str) -> None:
    assert base in base_forms(word)


def test_words_that_only_look_inflected_keep_their_form() -> None:
    assert "gras" not in base_forms("grass")
    assert "ga" not in base_forms("gas")
    assert "di" not in base_forms("die")


def test_coverage_by_hand() -> None:
    found = coverage(
        ["Two DOGS' owner was riding.", "a hot dog", "a dog is hot", "", "The catwalk", "the dog’s bone"],
        [["dog", "ride", "cat"], ["hot_dog"], ["hot dog"], ["dog"], ["cat"], ["dog", "dog"]],
    )
    assert found.tolist() == [pytest.approx(2 / 3), 1.0, 0.0, 0.0, 0.0, 1.0]


def test_coverage_needs_concepts() -> None:
    with pytest.raises(ValueError, match="no concepts are asked"):
        coverage(["a dog"], [[]])
    with pytest.raises(ValueError, match="zip"):
        coverage(["a dog"], [])
