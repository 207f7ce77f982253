"""Read sentences the way the rules do, and keep what the learned parser looks at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mase.scenegraph.chunks import chunks_of
from mase.scenegraph.codes import codes_of
from mase.scenegraph.graph import Span
from mase.scenegraph.relations import Reader
from mase.scenegraph.tagger import Tagger
from mase.scenegraph.tokens import sentence_spans, word_spans

LONGEST = 60
"""Tokens that are read at once; a longer sentence is cut, so the work stays linear."""
ROLES = ("none", "first of a head", "inside a head", "attribute", "predicate")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sentence:
    """One sentence, or a piece of a long one, as the rules read it.

    Attributes:
        tokens: character spans in the text.
        words: lower case.
        tags: Penn tags.
        codes: the rules' word classes.
        roles: what each token is in the rules' graph, positions in `ROLES`.
        rule_relations: the rules' predicate by the last tokens of (subject, object).
        rule_attributes: the rules' values by (first token of the attribute, last token of the entity).
    """

    tokens: tuple[Span, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]
    codes: tuple[str, ...]
    roles: tuple[int, ...]
    rule_relations: dict[Pair, str]
    rule_attributes: dict[Pair, str]

    def __len__(self) -> int:
        return len(self.tokens)


def read_sentences(texts: Sequence[str], tagger: Tagger) -> list[list[Sentence]]:
    """Return the sentences of each text."""
    readable = [text if text.isascii() else _SURROGATE.sub("\ufffd", text) for text in texts]
    pieces = [
        [tokens[i : i + LONGEST] for tokens in _tokens(text) for i in range(0, len(tokens), LONGEST)]
        for text in readable
    ]
    words = [
        [[text[i:j] for i, j in piece] for piece in parts]
        for text, parts in zip(readable, pieces, strict=True)
    ]
    tags = iter(tagger.tag_batch([piece for parts in words for piece in parts]))
    return [
        [_sentence(piece, written, next(tags)) for piece, written in zip(parts, written_parts, strict=True)]
        for parts, written_parts in zip(pieces, words, strict=True)
    ]


def _tokens(text: str) -> list[list[Span]]:
    return [word_spans(text, *span) for span in sentence_spans(text)]


def _sentence(tokens: Sequence[Span], written: Sequence[str], tags: Sequence[str]) -> Sentence:
    words = [word.lower() for word in written]
    codes = codes_of(words, tags)
    reader = Reader(words, tags)
    reader.read(chunks_of(words, tags, codes))
    return Sentence(
        tuple(tokens),
        tuple(words),
        tuple(tags),
        tuple(codes),
        _roles(reader, len(words)),
        {
            (reader.nodes[e.subject].end - 1, reader.nodes[e.object].end - 1): e.predicate
            for e in reader.edges
        },
        {(a.start, node.end - 1): a.text for node in reader.nodes for a in node.attributes},
    )


def _roles(reader: Reader, size: int) -> tuple[int, ...]:
    roles = [0] * size
    for edge in reader.edges:
        roles[edge.start : edge.end] = [4] * (edge.end - edge.start)
    for node in reader.nodes:
        for attribute in node.attributes:
            roles[attribute.start : attribute.end] = [3] * (attribute.end - attribute.start)
    for node in reader.nodes:
        if not node.dropped:
            inside = node.end - node.head_start - 1
            roles[node.head_start : node.end] = [1] + [2] * inside
    return tuple(roles)
