"""Cut a sentence into chunks: noun phrases, verb groups, prepositions and breaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mase.scenegraph import lexicon
from mase.scenegraph.lemmas import verb_lemma
from mase.scenegraph.numerals import leading_numeral

MODIFIERS = "ACR"
VERBAL = "XHMVGBZ"
LONGEST_PHRASE = 7


class Words(NamedTuple):
    """Some tokens of the sentence, [start, end), and the canonical text that they stand for."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class Chunk:
    """One chunk.

    Attributes:
        kind: N noun phrase, A adjectives, V verb group, P preposition; otherwise a word class of `codes`.
        start, end: its tokens.
        head: a noun phrase's noun, a verb group's lemma, a preposition's canonical text.
        modifiers: the attributes of N and A chunks.
        possessive: whether a possessive marker follows the noun phrase.
        main: the token of the main verb, -1 for a copula.
        passive, finite, negated: of a verb group.
    """

    kind: str
    start: int
    end: int
    head: str = ""
    modifiers: list[Words] = field(default_factory=list)
    possessive: bool = False
    main: int = -1
    passive: bool = False
    finite: bool = False
    negated: bool = False


def chunks_of(words: Sequence[str], tags: Sequence[str], codes: Sequence[str]) -> list[Chunk]:
    """Return the chunks of one sentence (words in lower case), in order, in linear time."""
    chunks: list[Chunk] = []
    place = 0
    while place < len(codes):
        code = codes[place]
        if code in "DACN" or (code == "R" and place + 1 < len(codes) and codes[place + 1] in "AC"):
            chunk = _nominal(words, codes, place)
        elif code in VERBAL:
            chunk = _verb_group(words, tags, codes, place)
        elif code in "PT":
            chunk = _preposition(words, codes, place)
        else:
            chunk = Chunk(code, place, place + 1)
        place = chunk.end
        if chunk.kind == "N" and place < len(codes) and codes[place] == "S":
            chunk.possessive = True
            place += 1
        chunks.append(chunk)
    return chunks


def _nominal(words: Sequence[str], codes: Sequence[str], start: int) -> Chunk:
    """Read determiners, modifiers and nouns; without a noun the kind is A, for a lone determiner U."""
    size = len(codes)
    place = start
    while place < size and codes[place] == "D":
        place += 1
    negated = any(words[i] == "no" for i in range(start, place))
    first = place
    place = _past_partitive(words, codes, place)
    while place < size and (codes[place] in MODIFIERS or _joins_modifiers(codes, first, place)):
        place += 1
    while place > first and codes[place - 1] in "R,K":
        place -= 1
    nouns = place
    while place < size and codes[place] == "N":
        place += 1
    modifiers = _modifiers(words, codes, first, nouns)
    if negated:
        modifiers.insert(0, Words("no", start, start + 1))
    if place > nouns:
        return Chunk("N", start, place, head=" ".join(words[nouns:place]), modifiers=modifiers, main=nouns)
    return Chunk("A" if modifiers else "U", start, max(place, start + 1), modifiers=modifiers)


def _past_partitive(words: Sequence[str], codes: Sequence[str], start: int) -> int:
    """Return where the phrase goes on after "five of the", or `start`."""
    place = start
    while place < len(codes) and codes[place] == "C":
        place += 1
    if place == start or place + 1 >= len(codes) or words[place] != "of" or codes[place + 1] != "D":
        return start
    place += 1
    while place < len(codes) and codes[place] == "D":
        place += 1
    return place


def _joins_modifiers(codes: Sequence[str], first: int, place: int) -> bool:
    """Say whether a comma or a conjunction stands between two modifiers ("red , white and blue")."""
    if place == first or codes[place] not in ",K" or codes[place - 1] not in "A,":
        return False
    after = codes[place + 1] if place + 1 < len(codes) else "^"
    return after == "A" or (
        codes[place] == "," and after == "K" and place + 2 < len(codes) and codes[place + 2] == "A"
    )


def _modifiers(words: Sequence[str], codes: Sequence[str], start: int, end: int) -> list[Words]:
    """Return the modifiers in [start, end): shades join their colour, numerals become digits."""
    found: list[Words] = []
    place = start
    while place < end:
        word, after = words[place], place + 1
        if codes[place] == "C":
            value, after = leading_numeral(words[:end], place)
            after = max(after, place + 1)
            found.append(Words(value or word, place, after))
        elif codes[place] == "A":
            while after < end and _completes(word, words[after]):
                word, after = f"{word} {words[after]}", after + 1
            found.append(Words(lexicon.MATERIALS.get(word, word), place, after))
        place = after
    return found


def _completes(word: str, following: str) -> bool:
    """Say whether two modifiers are one ("dark blue", "light colored", "long haired")."""
    shade = word in lexicon.SHADES and (following in lexicon.COLOURS or following in lexicon.FORMED)
    return shade or (following in lexicon.FORMED and " " not in word)


def _verb_group(words: Sequence[str], tags: Sequence[str], codes: Sequence[str], start: int) -> Chunk:
    """Read auxiliaries, adverbs and verbs up to the last verb, an infinitive after "to" included."""
    size = len(codes)
    chunk = Chunk("V", start, start + 1)
    have = -1
    auxiliary = False
    place = start
    while place < size:
        code = codes[place]
        if code in "VGB":
            if chunk.main >= 0 and code != "V" and codes[place - 1] in "VGB" and tags[chunk.main] == "VBG":
                break
            chunk.passive = code == "B" and (auxiliary or tags[place] == "VBN") and have < 0
            chunk.finite = (
                chunk.finite or code == "V" or (code == "B" and tags[place] == "VBD" and not auxiliary)
            )
            chunk.main = place
        elif code in "XHM":
            if chunk.main >= 0 and code != "X":
                break
            chunk.finite = True
            auxiliary = auxiliary or code == "X"
            have = place if code == "H" else -1 if code == "X" else have
        elif code == "Z":
            chunk.negated = True
        elif not _continues(codes, place):
            break
        place += 1
    while place > start + 1 and codes[place - 1] in "Rt":
        place -= 1
    chunk.end = place
    if chunk.main < 0 and have >= 0:
        chunk.main = have
    chunk.head = verb_lemma(words[chunk.main]) if chunk.main >= 0 else "be"
    return chunk


def _continues(codes: Sequence[str], place: int) -> bool:
    """Say whether an adverb or "to" is inside a verb group."""
    after = codes[place + 1] if place + 1 < len(codes) else "^"
    return (codes[place] == "R" and after in "VGBXHM") or codes[place] == "t"


def _preposition(words: Sequence[str], codes: Sequence[str], start: int) -> Chunk:
    """Read a preposition, a multi-word one if there is (its determiner skipped)."""
    plain: list[str] = []
    best = Chunk("P" if codes[start] == "P" else "T", start, start + 1, head=words[start])
    for place in range(start, min(start + LONGEST_PHRASE, len(words))):
        if codes[place] == "D" and place > start:
            continue
        plain.append(words[place])
        canonical = lexicon.PHRASAL_PREPOSITIONS.get(tuple(plain))
        if canonical:
            best = Chunk("P", start, place + 1, head=canonical)
        elif tuple(plain) in lexicon.PLACE_PHRASES and (place + 1 == len(words) or words[place + 1] != "of"):
            best = Chunk(
                "A", start, place + 1, modifiers=[Words(" ".join(words[start : place + 1]), start, place + 1)]
            )
    return best
