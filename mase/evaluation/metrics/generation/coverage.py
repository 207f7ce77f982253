"""Coverage: the share of the asked concepts that a sentence uses, as in CommonGen (Lin et al. 2020).

coverage = mean over examples of |concepts found| / |concepts|, in [0, 1], concepts counted once each.
CommonGen compares the lemma that spaCy gives each token. Here a word covers a concept if the concept is one
of the word's possible base forms, by `mase.scenegraph.lemmas` for verbs and the rules below for nouns. No
tagger decides between them, so "left" covers `left` and `leave`: the number can be a little above
CommonGen's, never below for the same base forms. A concept of several words ("hot dog", written with a
space, hyphen or underscore) needs its words in a row.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from mase.scenegraph.lemmas import verb_lemma

_IRREGULAR: dict[str, str] = {
    plural: singular
    for singular, _, plural in (
        pair.partition(":")
        for pair in "man:men woman:women child:children person:people foot:feet tooth:teeth goose:geese "
        "mouse:mice ox:oxen die:dice knife:knives wife:wives life:lives leaf:leaves loaf:loaves half:halves "
        "calf:calves shelf:shelves wolf:wolves thief:thieves hoof:hooves scarf:scarves elf:elves self:selves "
        "sheaf:sheaves cactus:cacti movie:movies cookie:cookies pie:pies tie:ties brownie:brownies "
        "zombie:zombies policeman:policemen fireman:firemen snowman:snowmen fisherman:fishermen".split()
    )
}
_ADDED_ES = ("ches", "shes", "sses", "xes", "zes", "oes", "ses")
_WORDS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def coverage(candidates: Sequence[str], concepts: Sequence[Sequence[str]]) -> Float[np.ndarray, "n"]:
    """Return the share of its concepts that each sentence covers.

    Args:
        candidates: one sentence per example, as text.
        concepts: the base forms that each example asks for, without the tags of CommonGen's files.

    Raises:
        ValueError: if the lengths differ or an example asks for no concept.
    """
    return np.array([_share(text, asked) for text, asked in zip(candidates, concepts, strict=True)])


@lru_cache(maxsize=50_000)
def base_forms(word: str) -> frozenset[str]:
    """Return the base forms that a lower-case word may have, itself among them.

    >>> sorted(base_forms("ponies")), sorted(base_forms("running"))
    (['ponies', 'pony'], ['run', 'running'])
    """
    forms = {word, verb_lemma(word)}
    if word in _IRREGULAR:
        forms.add(_IRREGULAR[word])
    elif word.endswith("ies") and len(word) > 4:
        forms.add(word[:-3] + "y")
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        forms.add(word[:-1])
        if word.endswith(_ADDED_ES):
            forms.add(word[:-2])
    return frozenset(forms)


def _share(text: str, concepts: Sequence[str]) -> float:
    asked = {concept.lower() for concept in concepts}
    if not asked:
        raise ValueError(f"no concepts are asked of {text!r}")
    words = [base_forms(word.removesuffix("'s").removesuffix("’s")) for word in _WORDS.findall(text.lower())]
    return sum(_covers(words, concept) for concept in asked) / len(asked)


def _covers(words: Sequence[frozenset[str]], concept: str) -> bool:
    parts = re.split(r"[\s_-]+", concept)
    starts = range(len(words) - len(parts) + 1)
    return any(all(part in words[at + step] for step, part in enumerate(parts)) for at in starts)
