"""Turn a sentence's chunks into entities and relations with a small left-to-right machine.

The machine remembers the subjects of the clause, the noun phrases that a preposition
would attach to, and the predicate that waits for its object. Each chunk is read once;
coordinated lists are capped, so the work is linear in the length of the sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mase.scenegraph import lexicon
from mase.scenegraph.chunks import Chunk, Words
from mase.scenegraph.drafts import Edge, Node, Predicate
from mase.scenegraph.lemmas import present_participle

MAX_COORDINATED = 6
AGENTIVE = frozenset(("cover", "surround"))
"""Verbs whose passive names the agent also with "in" or "with" (a field covered in snow)."""


@dataclass(slots=True)
class Reader:
    """Read the chunks of one sentence; `nodes` and `edges` are the result."""

    words: Sequence[str]
    tags: Sequence[str]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    subjects: tuple[int, ...] = ()
    nearest: tuple[int, ...] = ()
    earlier: tuple[int, ...] = ()
    pending: Predicate | None = None
    slot: Predicate | None = None
    verb_subjects: tuple[int, ...] | None = None
    owner: int | None = None
    coordinating: bool = False
    relative: bool = False

    def read(self, chunks: Sequence[Chunk]) -> None:
        """Read all chunks in order."""
        for place, chunk in enumerate(chunks):
            following = chunks[place + 1] if place + 1 < len(chunks) else None
            if chunk.kind == "N":
                self._noun_phrase(chunk, following)
            elif chunk.kind == "V":
                self._verb(chunk)
            elif chunk.kind in "PT":
                self._preposition(chunk, following)
            elif chunk.kind == "A":
                self._adjectives(chunk)
            elif chunk.kind == "U":
                self._pronoun(chunk)
            else:
                self._break(chunk)
            self.coordinating = chunk.kind in "K,"
        self._flush()

    def _noun_phrase(self, chunk: Chunk, following: Chunk | None) -> None:
        new = self._add_node(chunk)
        self._deny(new)
        if self.owner is not None:
            self._add_edge(
                self.owner, "have", new, self.nodes[self.owner].start, self.nodes[self.owner].end, False
            )
            self.owner = None
        if chunk.possessive:
            self.owner = new
            return
        if self.pending is not None and not (self.pending.verb == "be" and not self.pending.subjects):
            self.slot, self.pending = self.pending, None
            self._complete(self.slot, new)
        elif self.coordinating and self.slot is not None and not self._starts_clause(new, following):
            kept = self.nearest
            self._complete(self.slot, new)
            self.nearest = (*kept, new)[-MAX_COORDINATED:]
        elif self.coordinating and self.slot is None and self.verb_subjects is None and self.subjects:
            self.subjects = (*self.subjects, new)[-MAX_COORDINATED:]
            self.nearest = self.subjects
        else:
            self._new_clause(new)

    def _deny(self, new: int) -> None:
        """Let "there is not a dog" say of the dog what "no dog" does."""
        waiting = self.pending
        if waiting is not None and waiting.negated and waiting.name == "not is" and not waiting.subjects:
            self.nodes[new].attributes.insert(0, Words("no", waiting.start, waiting.end))

    def _new_clause(self, new: int) -> None:
        self.pending = self.slot = self.verb_subjects = None
        self.earlier = self.nearest
        self.subjects = self.nearest = (new,)

    def _starts_clause(self, new: int, following: Chunk | None) -> bool:
        if following is None or following.kind != "V":
            return False
        return following.finite or self._animate(new)

    def _animate(self, node: int) -> bool:
        return self.nodes[node].head.rsplit(" ", 1)[-1] in lexicon.ANIMATE

    def _add_node(self, chunk: Chunk) -> int:
        inside = [m for m in chunk.modifiers if m.text != "no"]
        start = inside[0].start if inside else chunk.main
        self.nodes.append(Node(chunk.head, start, chunk.main, chunk.end, list(chunk.modifiers)))
        return len(self.nodes) - 1

    def _add_edge(
        self, subject: int, predicate: str, target: int, start: int, end: int, verbal: bool
    ) -> None:
        if subject != target:
            self.edges.append(Edge(subject, predicate, target, start, end, verbal))

    def _complete(self, predicate: Predicate, new: int) -> None:
        """Give a waiting predicate its object."""
        self.earlier, self.nearest = predicate.subjects, (new,)
        for subject in predicate.subjects:
            if predicate.preposition == "of" and not predicate.verb:
                self._of(subject, new, predicate)
            elif predicate.passive and self._agent(predicate):
                name = f"not {predicate.verb}" if predicate.negated else predicate.verb
                self._add_edge(new, name, subject, predicate.start, predicate.end, True)
            else:
                verbal = predicate.verb not in ("", "be")
                self._add_edge(subject, predicate.name, new, predicate.start, predicate.end, verbal)

    def _agent(self, predicate: Predicate) -> bool:
        if predicate.preposition == "by":
            return True
        return predicate.verb in AGENTIVE and predicate.preposition in ("", "in", "with")

    def _of(self, subject: int, new: int, predicate: Predicate) -> None:
        """Read "subject of new": a quantity, a container, or a part."""
        node = self.nodes[subject]
        noun = node.head.rsplit(" ", 1)[-1]
        if noun in lexicon.COLLECTIVES and " " not in node.head:
            value = lexicon.COLLECTIVES[noun]
            grouped = [Words(value, node.head_start, node.end)] if value else []
            self.nodes[new].attributes = [*node.attributes, *grouped, *self.nodes[new].attributes]
            self._replace(subject, new)
        elif noun in lexicon.CONTAINERS:
            self._add_edge(new, lexicon.CONTAINERS[noun], subject, predicate.start, predicate.end, False)
            self.nearest = (subject,)
        else:
            self._add_edge(new, "have", subject, predicate.start, predicate.end, False)

    def _replace(self, old: int, new: int) -> None:
        """Let `new` stand where the grouping noun `old` stood."""
        self.nodes[old].dropped = True
        for edge in self.edges[-MAX_COORDINATED * 2 :]:
            edge.subject = new if edge.subject == old else edge.subject
            edge.object = new if edge.object == old else edge.object
        self.subjects = tuple(new if s == old else s for s in self.subjects)

    def _verb(self, chunk: Chunk) -> None:
        subjects = self._verb_subjects(chunk)
        self._flush()
        self.verb_subjects = subjects
        self.relative = False
        self.slot = None
        surface = "" if chunk.main < 0 else self._surface(chunk)
        self.pending = Predicate(
            subjects,
            chunk.head,
            "",
            surface,
            chunk.passive,
            chunk.negated,
            max(chunk.main, chunk.start),
            chunk.end,
        )

    def _verb_subjects(self, chunk: Chunk) -> tuple[int, ...]:
        if self.relative:
            return self.nearest
        if self.verb_subjects is not None and (self.coordinating or self.pending is not None):
            return self.verb_subjects
        if chunk.finite:
            return self.subjects
        active = not chunk.passive
        if (
            active
            and self.nearest
            and not any(map(self._animate, self.nearest))
            and any(map(self._animate, self.subjects))
        ):
            return self.subjects
        return self.nearest

    def _surface(self, chunk: Chunk) -> str:
        word, tag = self.words[chunk.main], self.tags[chunk.main]
        if tag == "VBG" or chunk.passive or word.endswith("ing"):
            return word
        return present_participle(chunk.head)

    def _preposition(self, chunk: Chunk, following: Chunk | None) -> None:
        if self.owner is not None:
            self.owner = None
        waiting = self.pending
        if waiting is None:
            if chunk.kind == "P":
                self.pending = Predicate(
                    self.nearest, "", chunk.head, "", False, False, chunk.start, chunk.end
                )
            return
        if chunk.kind == "T" and following is not None and following.kind in "PT":
            return
        head = chunk.head
        if waiting.preposition == "out" or (waiting.preposition and waiting.preposition.endswith(" out")):
            head = f"{waiting.preposition} {head}"
        self.pending = replace(waiting, preposition=head, end=chunk.end)

    def _adjectives(self, chunk: Chunk) -> None:
        waiting = self.pending
        values = [m for m in chunk.modifiers if m.text != "no"]
        if waiting is not None and waiting.verb in ("be", *lexicon.COPULAR) and not waiting.preposition:
            prefix = "not " if waiting.negated else ""
            self._describe(waiting.subjects, [Words(prefix + m.text, m.start, m.end) for m in values])
            self.pending = None
            self.nearest = waiting.subjects
        elif waiting is None and self.nearest:
            self._describe(self.nearest, values)
        else:
            self._flush()
            if waiting is not None:
                self._describe(waiting.subjects, values)

    def _describe(self, nodes: Sequence[int], values: Sequence[Words]) -> None:
        for node in nodes:
            self.nodes[node].attributes.extend(values)

    def _pronoun(self, chunk: Chunk) -> None:
        waiting = self.pending
        if waiting is None:
            if not self.relative:
                self.subjects = self.nearest = ()
                self.slot = self.verb_subjects = None
            return
        self.pending = self.slot = None
        refers = self.words[chunk.start] in lexicon.BACK_REFERENCES and waiting.subjects
        if refers and self.earlier and self.earlier != waiting.subjects and waiting.preposition:
            for node in self.earlier:
                for subject in waiting.subjects:
                    verbal = waiting.verb not in ("", "be")
                    self._add_edge(subject, waiting.name, node, waiting.start, waiting.end, verbal)

    def _break(self, chunk: Chunk) -> None:
        if chunk.kind in "KZRt":
            return
        self._flush()
        if chunk.kind == "W":
            self.relative = True
        elif chunk.kind in ".E":
            self.subjects = self.nearest = self.earlier = ()
            self.slot = self.verb_subjects = self.owner = None
            self.relative = False
        elif chunk.kind == "L":
            self.slot = None

    def _flush(self) -> None:
        """End a predicate without object: its verb is an attribute, or takes the noun before its clause."""
        waiting, self.pending = self.pending, None
        if waiting is None or not waiting.subjects:
            return
        if waiting.verb == "be" and waiting.preposition in lexicon.PLACE_ADVERBS:
            self._describe(waiting.subjects, [Words(waiting.preposition, waiting.end - 1, waiting.end)])
        if waiting.verb in ("", "be", "have"):
            return
        if (
            waiting.preposition
            and self.earlier
            and self.earlier != waiting.subjects
            and self.nearest == waiting.subjects
        ):
            for subject in waiting.subjects:
                for node in self.earlier:
                    self._add_edge(subject, waiting.name, node, waiting.start, waiting.end, True)
            return
        text = " ".join(
            p for p in ("not" if waiting.negated else "", waiting.surface, waiting.preposition) if p
        )
        self._describe(waiting.subjects, [Words(text, waiting.start, waiting.end)])
