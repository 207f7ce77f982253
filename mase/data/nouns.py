"""Singular forms of English nouns by rule, and the head noun of an object's name.

The rules serve to tell which names are about the same kind of thing ("cherry tomatoes" and
"tomato"), so a form that is no word ("trouser") does no harm as long as it is always the same.
"""

import re
from functools import lru_cache

_IRREGULAR = {
    "children": "child",
    "dice": "die",
    "feet": "foot",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
    "people": "person",
    "teeth": "tooth",
}
_FROM_F = {
    plural: singular
    for singular in "calf elf half hoof knife leaf life loaf scarf self shelf thief wife wolf".split()
    for plural in [singular.removesuffix("e").removesuffix("f") + "ves"]
}
_SINGULAR_MEN = {"abdomen", "acumen", "omen", "ramen", "regimen", "specimen", "stamen"}
_E_KEPT = {"canoes", "hoes", "shoes", "tiptoes", "toes"}
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@lru_cache(maxsize=50_000)
def singular(noun: str) -> str:
    """Return the singular of a noun in lower case; a form that no rule knows comes back as it is.

    >>> [singular(noun) for noun in ("cherries", "shelves", "glasses", "grass", "women", "shoes")]
    ['cherry', 'shelf', 'glass', 'grass', 'woman', 'shoe']
    """
    if noun in _IRREGULAR or noun in _FROM_F:
        return _IRREGULAR.get(noun) or _FROM_F[noun]
    if noun.endswith("men") and noun not in _SINGULAR_MEN:
        return noun[:-3] + "man"
    if not noun.endswith("s") or noun.endswith(("ss", "us", "is")) or len(noun) < 4:
        return noun
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("ches", "shes", "sses", "xes", "zzes")) or (
        noun.endswith("oes") and noun not in _E_KEPT
    ):
        return noun[:-2]
    return noun[:-1]


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    return WORD.findall(text.lower())


def head_noun(name: str) -> str:
    """Return the last word of an object's name, singular; the name itself where it holds no word.

    >>> [head_noun(name) for name in ("aerosol can", "Cherry blossoms", "table.")]
    ['can', 'blossom', 'table']
    """
    found = words(name)
    return singular(found[-1]) if found else name
