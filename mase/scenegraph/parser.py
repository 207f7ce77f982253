"""`parse`: texts to scene graphs with the rules of this package."""

import re
from collections.abc import Iterator, Sequence

from mase.scenegraph.chunks import chunks_of
from mase.scenegraph.codes import codes_of
from mase.scenegraph.graph import Attribute, Entity, Relation, SceneGraph, Span
from mase.scenegraph.numerals import grammatical_number
from mase.scenegraph.relations import Reader
from mase.scenegraph.tagger import Tagger, default_tagger
from mase.scenegraph.tokens import sentence_spans, word_spans

VERSION = 2
BATCH = 512

Tokens = list[Span]
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(texts: Sequence[str], *, tagger: Tagger | None = None) -> list[SceneGraph]:
    """Return the scene graph of each text, in order.

    Any text is accepted: an empty one, or one in which no noun phrase is found, has no
    entity. Long texts are read sentence by sentence; the time is linear in their length.

    Raises:
        ScenegraphError: if the tagger's weights are missing or damaged.
    """
    chosen = tagger or default_tagger()
    return [
        graph
        for start in range(0, len(texts), BATCH)
        for graph in _parse_batch(texts[start : start + BATCH], chosen)
    ]


def _parse_batch(texts: Sequence[str], tagger: Tagger) -> Iterator[SceneGraph]:
    readable = [text if text.isascii() else _SURROGATE.sub("\ufffd", text) for text in texts]
    sentences = [[word_spans(text, *span) for span in sentence_spans(text)] for text in readable]
    flat = [
        [text[i:j] for i, j in tokens]
        for text, parts in zip(readable, sentences, strict=True)
        for tokens in parts
    ]
    tags = iter(tagger.tag_batch(flat))
    words = iter(flat)
    for text, parts in zip(texts, sentences, strict=True):
        entities: list[Entity] = []
        relations: list[Relation] = []
        for tokens in parts:
            _read_sentence(next(words), next(tags), tokens, entities, relations)
        yield SceneGraph(text, tuple(entities), tuple(relations))


def _read_sentence(
    words: list[str], tags: list[str], tokens: Tokens, entities: list[Entity], relations: list[Relation]
) -> None:
    """Append one sentence's entities and relations."""
    lower = [word.lower() for word in words]
    reader = Reader(lower, tags)
    reader.read(chunks_of(lower, tags, codes_of(lower, tags)))
    place: dict[int, int] = {}
    for index, node in enumerate(reader.nodes):
        if not node.dropped:
            place[index] = len(entities)
            attributes = {w.text: Attribute(w.text, _span(tokens, w.start, w.end)) for w in node.attributes}
            span = _span(tokens, node.start, node.end)
            head_span = _span(tokens, node.head_start, node.end)
            number = grammatical_number(tags[node.end - 1], tuple(attributes))
            entities.append(Entity(node.head, tuple(attributes.values()), span, head_span, number))
    found = {
        Relation(
            place[e.subject], e.predicate, place[e.object], _span(tokens, e.start, e.end), e.verbal
        ): None
        for e in reader.edges
        if e.subject in place and e.object in place and e.subject != e.object
    }
    relations.extend(found)


def _span(tokens: Tokens, start: int, end: int) -> Span:
    return tokens[start][0], tokens[end - 1][1]
