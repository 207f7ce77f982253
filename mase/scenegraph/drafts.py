"""Entities, relations and waiting predicates in the making; their positions are token indices."""

from dataclasses import dataclass

from mase.scenegraph.chunks import Words


@dataclass(slots=True)
class Node:
    """An entity in the making; token indices."""

    head: str
    start: int
    head_start: int
    end: int
    attributes: list[Words]
    dropped: bool = False


@dataclass(slots=True)
class Edge:
    """A relation in the making: indices into the nodes, tokens of its predicate."""

    subject: int
    predicate: str
    object: int
    start: int
    end: int
    verbal: bool


@dataclass(frozen=True, slots=True)
class Predicate:
    """A predicate that waits for its object.

    Attributes:
        subjects: the nodes that it is about.
        verb: lemma, "" without a verb, "be" for a copula.
        preposition: canonical, "" without one.
        surface: the verb as an attribute, if no object comes.
        start, end: its tokens.
    """

    subjects: tuple[int, ...]
    verb: str = ""
    preposition: str = ""
    surface: str = ""
    passive: bool = False
    negated: bool = False
    start: int = 0
    end: int = 0

    @property
    def name(self) -> str:
        """Return the predicate's canonical text."""
        verb = "is" if self.verb == "be" and not self.preposition else "" if self.verb == "be" else self.verb
        return " ".join(part for part in ("not" if self.negated else "", verb, self.preposition) if part)
