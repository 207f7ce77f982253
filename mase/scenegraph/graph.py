"""What a text's scene graph is made of: entities with attributes, and relations between them."""

from dataclasses import dataclass
from typing import Any

from mase.scenegraph.numerals import Number

Span = tuple[int, int]
Fact = tuple[str, str, str]

ATTRIBUTE_PREDICATE = "is"


@dataclass(frozen=True)
class Attribute:
    """One attribute of an entity.

    Attributes:
        value: in canonical form: lower case, numerals as digits.
        span: where its words stand in the text.
    """

    value: str
    span: Span


@dataclass(frozen=True)
class Entity:
    """One noun phrase.

    Attributes:
        head: the noun with its compound parts, lower case, number as written.
        described_by: the attributes, those before the noun first.
        span: the phrase without its determiner; `text[span[0]:span[1]]` is the phrase.
        head_span: the head inside it.
        number: "singular" or "plural", by the numeral before the noun or else the noun's form.
    """

    head: str
    described_by: tuple[Attribute, ...]
    span: Span
    head_span: Span
    number: Number = "singular"

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the attributes' values."""
        return tuple(a.value for a in self.described_by)


@dataclass(frozen=True)
class Relation:
    """One directed relation between two entities.

    Attributes:
        subject, object: indices into the graph's entities.
        predicate: lemmatised verb, preposition, or both ("sit on").
        span: where the predicate's words stand in the text (first to last).
        verbal: whether a verb is part of it.
    """

    subject: int
    predicate: str
    object: int
    span: Span
    verbal: bool


@dataclass(frozen=True)
class SceneGraph:
    """The scene graph of one text; `relations` index `entities`, which are in the order of the text."""

    text: str
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()

    def phrase(self, index: int) -> str:
        """Return the phrase of entity `index`: modifiers and head as written, white space made single."""
        start, end = self.entities[index].span
        return " ".join(self.text[start:end].split())

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Return the (subject, predicate, object) triples in FACTUAL's form; `is` gives an attribute."""
        related = [
            (self.entities[r.subject].head, r.predicate, self.entities[r.object].head) for r in self.relations
        ]
        described = [(e.head, ATTRIBUTE_PREDICATE, value) for e in self.entities for value in e.attributes]
        return tuple(dict.fromkeys(described + related))

    def to_json(self) -> dict[str, Any]:
        """Return the object that `mase parse --json` prints."""
        return {
            "text": self.text,
            "entities": [
                {"head": e.head, "attributes": list(e.attributes), "span": list(e.span)}
                for e in self.entities
            ],
            "relations": [
                {"subject": r.subject, "predicate": r.predicate, "object": r.object} for r in self.relations
            ],
            "facts": [list(fact) for fact in self.facts],
        }
