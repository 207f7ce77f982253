"""What the network chooses from, counted on the aligned training captions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mase.errors import ScenegraphError
from mase.scenegraph import lexicon
from mase.scenegraph.learned.alignment import Alignment
from mase.scenegraph.learned.reading import Sentence
from mase.scenegraph.lemmas import verb_lemma
from mase.scenegraph.numerals import numeral

VERBAL_CODES = "VGBXH"


@dataclass(frozen=True)
class Vocabulary:
    """Closed predicates, and what phrases are called in the graph.

    Attributes:
        predicates: the closed set, most frequent first.
        entity_names, attribute_names: a phrase's name where it is not the phrase itself.
    """

    predicates: tuple[str, ...]
    entity_names: dict[str, str]
    attribute_names: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the object that the manifest holds."""
        return {
            "predicates": list(self.predicates),
            "entity_names": self.entity_names,
            "attribute_names": self.attribute_names,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Vocabulary":
        """Read what `to_json` returns.

        Raises:
            ScenegraphError: if a part is missing.
        """
        try:
            names = dict(content["entity_names"]), dict(content["attribute_names"])
            return cls(tuple(content["predicates"]), *names)
        except KeyError as cause:
            raise ScenegraphError(f"the parser's vocabulary has no {cause}; train again") from cause

    def entity(self, words: Sequence[str]) -> str:
        """Return an entity's name in the graph."""
        text = " ".join(words)
        return self.entity_names.get(text, text)

    def attribute(self, words: Sequence[str]) -> str:
        """Return an attribute's value in the graph; numerals become digits."""
        text = " ".join(words)
        return self.attribute_names.get(text, numeral(words) or text)


def copied_predicate(sentence: Sentence, run: Sequence[int]) -> str:
    """Return the predicate that a run of tokens spells: verbs as lemmas, other words as written.

    A run begins with a verb unless its first word is a preposition, whatever the tagger says.
    """
    words = [sentence.words[i] for i in run]
    verbal = [sentence.codes[i] in VERBAL_CODES for i in run]
    verbal[0] = verbal[0] or not (
        sentence.codes[run[0]] in "PT" or words[0] in lexicon.PREPOSITIONS or words[0] == "left"
    )
    return " ".join(verb_lemma(w) if verb else w for w, verb in zip(words, verbal, strict=True))


def count_vocabulary(
    sentences: Iterable[Sentence], alignments: Iterable[Alignment], *, predicates: int = 240, least: int = 2
) -> Vocabulary:
    """Take the most frequent predicates, and the names that phrases mostly have (seen `least` times)."""
    counts: Counter[str] = Counter()
    entities: defaultdict[str, Counter[str]] = defaultdict(Counter)
    attributes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence, alignment in zip(sentences, alignments, strict=True):
        counts.update(predicate for *_, predicate in sorted(alignment.relations))
        for (start, end), name in alignment.entities.items():
            entities[" ".join(sentence.words[start:end])][name] += 1
        for (start, end), name in alignment.attributes.items():
            attributes[" ".join(sentence.words[start:end])][name] += 1
    ranked = sorted(counts, key=lambda predicate: (-counts[predicate], predicate))
    return Vocabulary(tuple(ranked[:predicates]), _names(entities, least), _names(attributes, least))


def _names(counted: dict[str, Counter[str]], least: int) -> dict[str, str]:
    """Return the names other than the phrase itself that most uses of a phrase have."""
    result: dict[str, str] = {}
    for text, counts in sorted(counted.items()):
        name, uses = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if name != text and uses >= least and 2 * uses > counts.total():
            result[text] = name
    return result
