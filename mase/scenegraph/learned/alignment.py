"""Find the words of a sentence that gold facts speak of.

An entity or an attribute is aligned to a run of tokens: equal words, or equal after
joining ("cell phone", "cellphone"), numerals as digits, or nouns of the same lemma. A
predicate is aligned to tokens with its lemmas, in order, with small gaps ("on the side
of"). Where a string occurs more than once, the occurrences nearest to each other are taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from mase.scenegraph.graph import ATTRIBUTE_PREDICATE
from mase.scenegraph.lemmas import verb_lemma
from mase.scenegraph.numerals import numeral

Range = tuple[int, int]
LARGEST_GAP = 2
NAMED = {
    "he": ("man", "boy", "person"),
    "she": ("woman", "girl", "person"),
    "they": ("people",),
    "someone": ("person", "man", "woman"),
    "somebody": ("person",),
    "guy": ("person", "man"),
    "guys": ("people", "men"),
    "dude": ("person", "man"),
}
"""What annotators call words that are no nouns, or nouns that they avoid; tried last."""


@dataclass
class Alignment:
    """Where a sentence says its gold facts; ranges of tokens.

    Attributes:
        entities, attributes: gold string by range.
        runs: the tokens of each predicate that stands in the sentence.
        described: (attribute, entity).
        relations: the tokens of the predicate, () if none say it, by (subject, object, gold predicate).
        lost: gold facts that could not be aligned.
    """

    entities: dict[Range, str] = field(default_factory=dict)
    attributes: dict[Range, str] = field(default_factory=dict)
    runs: dict[tuple[int, ...], str] = field(default_factory=dict)
    described: set[tuple[Range, Range]] = field(default_factory=set)
    relations: dict[tuple[Range, Range, str], tuple[int, ...]] = field(default_factory=dict)
    lost: list[tuple[str, ...]] = field(default_factory=list)


def align(words: Sequence[str], facts: Sequence[tuple[str, ...]]) -> Alignment:
    """Align gold facts to the words (lower case) of a sentence."""
    result = Alignment()
    for fact in sorted(facts):
        if len(fact) == 1:
            _align_entity(words, fact, result)
        elif fact[1] == ATTRIBUTE_PREDICATE:
            _align_attribute(words, fact, result)
        else:
            _align_relation(words, fact, result)
    return result


def _align_entity(words: Sequence[str], fact: tuple[str, ...], result: Alignment) -> None:
    places = occurrences(words, fact[0])
    if places:
        result.entities[places[0]] = fact[0]
    else:
        result.lost.append(fact)


def _align_attribute(words: Sequence[str], fact: tuple[str, ...], result: Alignment) -> None:
    choices = [
        (_distance(value, entity), value[0] > entity[0], value, entity)
        for value, entity in product(occurrences(words, fact[2]), occurrences(words, fact[0]))
        if not _overlap(value, entity)
    ]
    if not choices:
        result.lost.append(fact)
        return
    *_, value, entity = min(choices)
    result.entities[entity] = fact[0]
    result.attributes[value] = fact[2]
    result.described.add((value, entity))


def _align_relation(words: Sequence[str], fact: tuple[str, ...], result: Alignment) -> None:
    runs = predicate_runs(words, fact[1]) or [()]
    choices = [
        (_spread(subject, run, target), subject, target, run)
        for subject, run, target in product(occurrences(words, fact[0]), runs, occurrences(words, fact[2]))
        if not _overlap(subject, target)
        and not any(start <= token < end for token in run for start, end in (subject, target))
    ]
    if not choices:
        result.lost.append(fact)
        return
    _, subject, target, run = min(choices)
    result.entities[subject], result.entities[target] = fact[0], fact[2]
    result.relations[subject, target, fact[1]] = run
    if run:
        result.runs[run] = fact[1]


def occurrences(words: Sequence[str], text: str) -> list[Range]:
    """Return where a string stands; looser comparisons are tried only if stricter ones find nothing."""
    size = len(text.split())
    for same in (_equal, _numeral, _joined, _same_noun, _named):
        found = [
            (start, start + length)
            for length in ((size, size + 1, size - 1) if same is _joined else (size,))
            if length > 0
            for start in range(len(words) - length + 1)
            if same(words[start : start + length], text)
        ]
        if found:
            return found
    return []


def predicate_runs(words: Sequence[str], predicate: str) -> list[tuple[int, ...]]:
    """Return the token runs whose lemmas are the predicate, shortest gaps first; at most one per start."""
    parts = predicate.split()
    runs: list[tuple[int, ...]] = []
    for start in range(len(words)):
        run: list[int] = []
        for part in parts:
            first = run[-1] + 1 if run else start
            last = first + LARGEST_GAP if run else first
            place = next(
                (i for i in range(first, min(last + 1, len(words))) if part in _lemmas(words[i])), None
            )
            if place is None:
                break
            run.append(place)
        if len(run) == len(parts):
            runs.append(tuple(run))
    return runs


@lru_cache(maxsize=50_000)
def _lemmas(word: str) -> frozenset[str]:
    return frozenset((word, verb_lemma(word)))


def _equal(words: Sequence[str], text: str) -> bool:
    return " ".join(words) == text


def _numeral(words: Sequence[str], text: str) -> bool:
    return len(words) == 1 and numeral(words) == text


def _joined(words: Sequence[str], text: str) -> bool:
    return "".join(words).replace("-", "") == text.replace(" ", "").replace("-", "")


def _same_noun(words: Sequence[str], text: str) -> bool:
    return [*words[:-1], _stem(words[-1])] == [*text.split()[:-1], _stem(text.split()[-1])]


def _named(words: Sequence[str], text: str) -> bool:
    return text in NAMED.get(" ".join(words), ())


def _stem(noun: str) -> str:
    """Cut a noun or an adjective to what its forms share ("wood", "wooden"; "shelf", "shelves")."""
    for ending in ("ves", "ies", "en", "es", "s", "e", "y", "f"):
        if noun.endswith(ending) and len(noun) > len(ending) + 2:
            return noun[: -len(ending)]
    return noun


def _overlap(first: Range, second: Range) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _distance(first: Range, second: Range) -> int:
    return max(second[0] - first[1], first[0] - second[1])


def _spread(subject: Range, run: tuple[int, ...], target: Range) -> tuple[int, bool]:
    places = [*subject, *target, *run]
    return max(places) - min(places), subject > target
