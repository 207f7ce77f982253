"""Give every token a one-letter word class for the rules, and repair what the tagger gets wrong in captions.

Classes: D determiner, A adjective or modifier, C numeral, N noun, S possessive marker, U pronoun,
V finite or base verb, G gerund, B past participle or past tense, X be, H have, M modal or do,
t infinitive "to", R adverb, Z negation, T particle, P preposition, K conjunction, W relative word,
L subordinator, E "there", "," weak break, "." strong break.
"""

from collections.abc import Sequence
from itertools import pairwise

from mase.scenegraph import lexicon
from mase.scenegraph.numerals import NUMERALS, numeral

_BY_TAG = {
    "NN": "N", "NNS": "N", "NNP": "N", "NNPS": "N", "GW": "N", "FW": "N", "ADD": "N",
    "JJ": "A", "JJR": "A", "JJS": "A", "AFX": "A", "CD": "C", "DT": "D", "PDT": "D", "PRP$": "D", "WP$": "W",
    "PRP": "U", "WP": "W", "WDT": "W", "WRB": "W", "EX": "E", "POS": "S",
    "VB": "V", "VBP": "V", "VBZ": "V", "VBD": "B", "VBN": "B", "VBG": "G", "MD": "M",
    "RB": "R", "RBR": "R", "RBS": "R", "RP": "T", "IN": "P", "TO": "P", "CC": "K",
    ",": ",", "-LRB-": ",", "-RRB-": ",", "HYPH": ",", "``": ",", "''": ",",
}  # fmt: skip
_STRONG = frozenset(". ! ? : ; ...".split())
_CLOSED: dict[str, str] = {
    **dict.fromkeys(lexicon.BE, "X"),
    **dict.fromkeys(lexicon.HAVE, "H"),
    **dict.fromkeys(lexicon.DO, "M"),
    **dict.fromkeys(lexicon.NEGATIONS - {"no"}, "Z"),
    **dict.fromkeys(lexicon.CONJUNCTIONS, "K"),
    **dict.fromkeys(lexicon.CONTRASTS, ","),
    **dict.fromkeys("a an the no every".split(), "D"),
    **dict.fromkeys(NUMERALS, "C"),
    **dict.fromkeys(lexicon.PRONOUNS - {"that", "this", "these", "those", "her"}, "U"),
    **dict.fromkeys("who which".split(), "W"),
    **dict.fromkeys("something someone somebody".split(), "N"),
    **dict.fromkeys(
        "of in on at with from under behind near beside between above into onto for".split(), "P"
    ),
    **dict.fromkeys("while because although unless whereas".split(), "L"),
    **dict.fromkeys(lexicon.COLOURS - {"cream", "orange", "gold", "silver", "navy", "copper"}, "A"),
    "one": "D",
}
_ADVERBIAL_PREPOSITIONS = frozenset(
    phrase[:2]
    for phrase in lexicon.PHRASAL_PREPOSITIONS
    if phrase[0]
    in ("next", "close", "near", "out", "away", "adjacent", "ahead", "across", "along", "inside", "outside")
)
_PHRASE_ENDS = frozenset("PDXHMW.,K^UtL")
_BEFORE_TO = frozenset(first for first, second in _ADVERBIAL_PREPOSITIONS if second == "to")

_CAN_FOLLOW_BE = lexicon.COLOURS | lexicon.ADJECTIVES
_DESCRIBING = _CAN_FOLLOW_BE | lexicon.KINDS | lexicon.MATERIALS.keys()


def codes_of(words: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the word class of each token of one sentence (words in lower case)."""
    codes = [_code(word, tag) for word, tag in zip(words, tags, strict=True)]
    _repair(words, tags, codes)
    return codes


def _code(word: str, tag: str) -> str:
    if word in _CLOSED:
        return "S" if tag == "POS" else _CLOSED[word]
    if word in _STRONG:
        return "."
    code = _BY_TAG.get(tag, ",")
    if not any(c.isalnum() for c in word):
        return "S" if word in ("'", "'s") and tag == "POS" else "K" if word == "&" else ","
    if code in "AN" and "-" in word and numeral((word,)):
        return "C"
    if code in "DPRTNA" and word in lexicon.DETERMINERS:
        return "D"
    if word in lexicon.SUBORDINATORS and code in "PRW":
        return "L"
    if word in lexicon.PREPOSITIONS and code in "PRTA":
        return "T" if tag == "RP" else "P"
    return "," if code == "," and tag not in _BY_TAG else code


def _repair(words: Sequence[str], tags: Sequence[str], codes: list[str]) -> None:
    """Correct word classes in place, left to right, from their neighbours."""
    last = len(codes) - 1
    predicative = False
    for i, pair in enumerate(pairwise(words)):
        if pair in _ADVERBIAL_PREPOSITIONS:
            codes[i] = codes[i + 1] = "P"
    for i, code in enumerate(codes):
        before = codes[i - 1] if i else "^"
        after = codes[i + 1] if i < last else "^"
        if code in "VGB":
            codes[i] = _repaired_verb(words[i], tags[i], code, before, after)
        elif code == "N":
            codes[i] = _repaired_noun(words, tags, codes, i)
        elif code == "A":
            codes[i] = _repaired_adjective(words[i], before, after, predicative)
        elif (
            code == "M" and words[i] in ("can", "will") and before in "NAD" and after in _PHRASE_ENDS | {"G"}
        ):
            codes[i] = "N"
        elif code == "S" and words[i] == "'s" and before not in "NU":
            codes[i] = "X"
        elif code == "D" and words[i] in ("that", "this", "these", "those") and after not in "DACNRGB":
            codes[i] = "W" if words[i] == "that" and before == "N" and after in "XHMVGB" else "U"
        elif code == "P" and words[i] == "to" and after == "V" and (i == 0 or words[i - 1] not in _BEFORE_TO):
            codes[i] = "t"
        elif code == "P" and words[i] == "about" and i < last and words[i + 1] == "to":
            codes[i] = "R"
        elif code == "R" and not lexicon.is_adverb(words[i]):
            codes[i] = _repaired_adverb(before, after)
        elif code == "P" and words[i] in ("as", "like") and after in "VXHM":
            codes[i] = "L"
        elif code in "TR" and words[i] in lexicon.PREPOSITIONS and after in "DANC" and before not in "^,K":
            codes[i] = "P"
        predicative = codes[i] == "X" or (predicative and codes[i] in "ARKZ,C")


def _repaired_adverb(before: str, after: str) -> str:
    if before == "^" and after in "PVBGXH":
        return "N"
    return "V" if before == "N" and after == "D" else "R"


def _repaired_adjective(word: str, before: str, after: str, predicative: bool) -> str:
    if word in lexicon.TRANSITIVE_GERUNDS and before == "N" and after in "NAD":
        return "G"
    if predicative or after not in "VGBXHMP.^" or word in _CAN_FOLLOW_BE:
        return "A" if before != "D" or after not in _PHRASE_ENDS or after in "K," else "N"
    return "N" if before in "^DAPC" or (after in "GBXH" and before == "K") else "A"


def _repaired_verb(word: str, tag: str, code: str, before: str, after: str) -> str:
    if before in "DS" or (before in "AC" and code != "V"):
        if after in "NAC" or (after in "GB" and code in "GB"):
            return "A" if code != "V" else "N"
        return "N" if before in "DS" or (code == "G" and word in lexicon.ING_NOUNS) else code
    if word in lexicon.ING_NOUNS and not (code == "G" and before in "NX" and after in "DUAN"):
        return "N"
    if code == "V":
        noun_first = before == "^" and (after in "GBXHP" or (tag == "VB" and after == "V"))
        return "N" if noun_first or before in "ACP" else code
    if before in "^P,K" and after in "NA" and code == "B":
        return "A" if before != "," else code
    if before == "^" and after == "X":
        return "N"
    if before in "^P" and after == "N" and word not in lexicon.TRANSITIVE_GERUNDS:
        return "A"
    return code


def _repaired_noun(words: Sequence[str], tags: Sequence[str], codes: Sequence[str], i: int) -> str:
    word = words[i]
    before = codes[i - 1] if i else "^"
    after = codes[i + 1] if i + 1 < len(codes) else "^"
    if before in "NX" and len(word) > 4:
        if word.endswith("ing") and (
            (after in "PDUT" and word not in lexicon.ING_NOUNS)
            or (after in "NA" and word in lexicon.TRANSITIVE_GERUNDS)
        ):
            return "G"
        if word.endswith("ed") and after == "P" and not word.endswith("eed"):
            return "B"
    third_person = before == "W" or (before == "N" and (after == "D" or word in lexicon.THIRD_PERSON_VERBS))
    if third_person and after in "PDUT" and tags[i] == "NNS":
        return "V"
    describes = word in _DESCRIBING
    joined = after in ("K", ",") and i + 2 < len(codes) and codes[i + 2] == "A" and word in _CAN_FOLLOW_BE
    if describes and (after in "NA" or joined):
        return "A"
    if (
        word in _CAN_FOLLOW_BE
        and before in "XRK"
        and after in "^.,KP"
        and (before != "K" or codes[i - 2] == "A")
    ):
        return "A"
    return "N"
