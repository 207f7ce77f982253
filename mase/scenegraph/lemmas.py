"""Verb lemmas by rule: an authored table of irregular forms, then spelling rules for regular ones."""

from functools import lru_cache
from pathlib import Path

_IRREGULAR = {
    form: line.split()[0]
    for line in (Path(__file__).parent / "irregular_verbs.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for form in line.split()[1:]
}
_VOWELS = "aeiou"
_FROM_EE = ("agreed", "disagreed", "freed", "guaranteed", "refereed", "decreed")
_KEEP_DOUBLE = ("ll", "ss", "ff", "zz")
_FIXED_S = ("ss", "us", "is")
_E_ENDINGS = tuple("c u v dg rg lg ang bl dl fl gl kl pl tl zl cl rs ns ls ps ts iat uat ib com".split())
_SINGLE_VOWEL_ENDINGS = tuple("at ut ot id ud ad od ak ok ik uk ap ip ar ir ur".split())


@lru_cache(maxsize=50_000)
def verb_lemma(form: str) -> str:
    """Return the base form of an English verb form (lower case); an unknown shape comes back as it is.

    >>> [verb_lemma(form) for form in ("sitting", "rides", "carried", "grazed", "hung")]
    ['sit', 'ride', 'carry', 'graze', 'hang']
    """
    if form in _IRREGULAR:
        return _IRREGULAR[form]
    if form.endswith("ing") and len(form) > 4 and any(c in "aeiouy" for c in form[:-3]):
        return _stem(form[:-3])
    if form.endswith("ied") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith("eed"):
        return form[:-1] if form in _FROM_EE else form
    if form.endswith("ed") and len(form) > 3 and any(c in "aeiouy" for c in form[:-2]):
        return _stem(form[:-2])
    if form.endswith("s") and len(form) > 3 and not form.endswith(_FIXED_S):
        return _without_s(form)
    return form


def _without_s(form: str) -> str:
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")):
        return form[:-2]
    return form[:-1]


def _stem(stem: str) -> str:
    """Undo the spelling changes before -ing and -ed."""
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in _VOWELS and not _keeps_double(stem):
        return stem[:-1]
    return stem + "e" if _takes_e(stem) else stem


def _keeps_double(stem: str) -> bool:
    if stem.endswith(("ell", "oll", "all")):
        return sum(c in _VOWELS for c in stem) == 1 or stem in ("enroll", "install", "recall")
    return stem.endswith(_KEEP_DOUBLE)


def _takes_e(stem: str) -> bool:
    """Say whether a regular verb's stem lost a final e, from its last letters."""
    if len(stem) < 2:
        return False
    if stem.endswith(_E_ENDINGS):
        return not stem.endswith(("hang", "clang", "bang"))
    if stem[-1] == "z":
        return stem[-2] != "z"
    if stem[-1] == "s":
        return stem[-2] in _VOWELS
    single_vowel = stem[-2] in _VOWELS and (len(stem) < 3 or stem[-3] not in _VOWELS)
    if single_vowel and stem.endswith("op"):
        return len(stem) < 5
    if single_vowel and len(stem) > 2 and stem.endswith(_SINGLE_VOWEL_ENDINGS):
        return True
    return single_vowel and stem[-1] in "gm" and stem[-2] in "aiu"


def present_participle(lemma: str) -> str:
    """Return the -ing form of a verb's base form.

    >>> [present_participle(lemma) for lemma in ("sit", "ride", "lie", "bark", "see")]
    ['sitting', 'riding', 'lying', 'barking', 'seeing']
    """
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) and len(lemma) > 2:
        return lemma[:-1] + "ing"
    short = sum(c in "aeiouy" for c in lemma) == 1
    if short and len(lemma) > 2 and lemma[-1] not in "aeiouwxy" and lemma[-2] in _VOWELS:
        return lemma + lemma[-1] + "ing"
    return lemma + "ing"
