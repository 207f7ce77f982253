import pytest

from mase.data.nouns import head_noun, singular, words


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("cherries", "cherry"),
        ("glasses", "glass"),
        ("boxes", "box"),
        ("knives", "knife"),
        ("leaves", "leaf"),
        ("shelves", "shelf"),
        ("teeth", "tooth"),
        ("men", "man"),
        ("policemen", "policeman"),
        ("tomatoes", "tomato"),
        ("shoes", "shoe"),
        ("pies", "pie"),
        ("cars", "car"),
    ],
)
def test_plurals_and_their_singulars_are_one(plural: str, expected: str) -> None:
    assert singular(plural) == singular(expected) == expected


@pytest.mark.parametrize("noun", ["grass", "bus", "iris", "gas", "specimen", "omen", "dog"])
def test_singulars_stay(noun: str) -> None:
    assert singular(noun) == noun


def test_the_head_noun_is_the_last_word_without_its_number() -> None:
    named = {
        "cherry tomatoes": "tomato",
        "Man's hat": "hat",
        "table.": "table",
        "t-shirts": "t-shirt",
        "?": "?",
    }
    assert {name: head_noun(name) for name in named} == named
    assert words("The café's 2 t-shirts.") == ["the", "café's", "2", "t-shirts"]
