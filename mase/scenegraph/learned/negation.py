"""Negation, which captions hardly have: the network does not learn it, so the rules' is kept."""

from collections.abc import Iterator

from mase.scenegraph.graph import Attribute
from mase.scenegraph.learned.reading import Sentence
from mase.scenegraph.learned.spans import Range

NO, NOT = "no", "not "


def denied_predicate(sentence: Sentence, subject: Range, target: Range, predicate: str) -> str:
    """Return the predicate, with "not" in front where the rules read the relation of the two so."""
    rule = sentence.rule_relations.get((subject[1] - 1, target[1] - 1), "")
    return NOT + predicate if rule.startswith(NOT) and not predicate.startswith(NOT) else predicate


def denied_value(sentence: Sentence, attribute: Range, head: Range, value: str) -> str:
    """Return an attribute's value, with "not" in front where the rules read it so ("is not red")."""
    rule = sentence.rule_attributes.get((attribute[0], head[1] - 1), "")
    return NOT + value if rule.startswith(NOT) and not value.startswith(NOT) else value


def absence(sentence: Sentence, head: Range) -> Iterator[Attribute]:
    """Yield the attribute "no" of an entity that the rules read as absent ("no dog", "there isn't a dog")."""
    for (first, last), value in sentence.rule_attributes.items():
        if value == NO and last == head[1] - 1:
            yield Attribute(NO, sentence.tokens[first])
            return
