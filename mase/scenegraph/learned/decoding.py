"""From the network's scores to entities and relations."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mase.scenegraph import lexicon
from mase.scenegraph.graph import Attribute, Entity, Relation, Span
from mase.scenegraph.learned.candidates import attribute_pairs, entity_pairs
from mase.scenegraph.learned.negation import absence, denied_predicate, denied_value
from mase.scenegraph.learned.network import ParserNetwork, token_features
from mase.scenegraph.learned.reading import Sentence
from mase.scenegraph.learned.spans import Range, Spans, spans_of
from mase.scenegraph.learned.vocabulary import VERBAL_CODES, Vocabulary, copied_predicate
from mase.scenegraph.numerals import grammatical_number, numeral

NONE, RULE, CLOSED = 0, 1, 2
CONSIDERED = 4
"""How many of the closed set's best predicates are compared with the copied ones."""


@dataclass
class Piece:
    """What was found in one sentence; entities are indices into `spans.entities`.

    Attributes:
        spans: the spans.
        described: entities of each attribute.
        relations: (subject, predicate, object, tokens of a copied predicate).
    """

    spans: Spans
    described: list[tuple[int, int]] = field(default_factory=list)
    relations: list[tuple[int, str, int, tuple[int, ...]]] = field(default_factory=list)


@torch.inference_mode()
def find(network: ParserNetwork, vocabulary: Vocabulary, sentences: Sequence[Sentence]) -> list[Piece]:
    """Return what is found in sentences of one length."""
    states = network.encode(token_features(sentences, network.sizes))
    pieces = [Piece(spans_of(tags)) for tags in network.tag(states).argmax(-1).tolist()]
    spans = [piece.spans for piece in pieces]
    links = attribute_pairs(sentences, spans)
    if links.keys:
        chosen = (network.attribute_logits(states, links) > 0).tolist()
        for (number, attribute, entity), linked in zip(links.keys, chosen, strict=True):
            if linked:
                pieces[number].described.append((attribute, entity))
    _find_relations(network, vocabulary, sentences, states, pieces)
    return pieces


def _find_relations(
    network: ParserNetwork,
    vocabulary: Vocabulary,
    sentences: Sequence[Sentence],
    states: Tensor,
    pieces: Sequence[Piece],
) -> None:
    ids = {predicate: place for place, predicate in enumerate(vocabulary.predicates)}
    pairs = entity_pairs(sentences, [piece.spans for piece in pieces], ids)
    if not pairs.keys:
        return
    closed, copied = network.relation_logits(states, pairs)
    shares = torch.cat([closed, copied], dim=1).softmax(1)
    closed, copied = shares[:, : closed.shape[1]], shares[:, closed.shape[1] :]
    best = closed[:, CLOSED:].topk(min(CONSIDERED, closed.shape[1] - CLOSED), dim=1)
    for row in (closed[:, NONE] < 0.5).nonzero().flatten().tolist():
        number, subject, target = pairs.keys[row]
        sentence, piece = sentences[number], pieces[number]
        scores: dict[str, float] = {}
        for share, place in zip(best.values[row].tolist(), best.indices[row].tolist(), strict=True):
            scores[vocabulary.predicates[place]] = share
        ends = tuple(piece.spans.entities[i][1] - 1 for i in (subject, target))
        rule = sentence.rule_relations.get((ends[0], ends[1]))
        if rule:
            scores[rule] = scores.get(rule, 0.0) + float(closed[row, RULE])
        tokens: dict[str, tuple[int, ...]] = {}
        for share, (index, *_) in zip(copied[row].tolist(), pairs.runs[row], strict=False):
            run = piece.spans.runs[index]
            name = copied_predicate(sentence, run)
            scores[name] = scores.get(name, 0.0) + share
            tokens.setdefault(name, run)
        name = max(scores, key=lambda predicate: scores[predicate])
        piece.relations.append((subject, name, target, tokens.get(name, ())))


def add_to_graph(
    sentence: Sentence,
    piece: Piece,
    vocabulary: Vocabulary,
    entities: list[Entity],
    relations: list[Relation],
) -> None:
    """Append one sentence's entities and relations to those of its text."""
    first = len(entities)
    for index, (start, end) in enumerate(piece.spans.entities):
        ranges = [piece.spans.attributes[a] for a, e in piece.described if e == index]
        entities.append(_entity(sentence, vocabulary, (start, end), ranges))
    for subject, predicate, target, run in piece.relations:
        ranges = piece.spans.entities[subject], piece.spans.entities[target]
        span = _characters(sentence, *_predicate_range(run, *ranges))
        verbal = _verbal(sentence, predicate, run)
        predicate = denied_predicate(sentence, *ranges, predicate)
        relations.append(Relation(first + subject, predicate, first + target, span, verbal))


def _entity(sentence: Sentence, vocabulary: Vocabulary, head: Range, ranges: Sequence[Range]) -> Entity:
    before = [r for r in ranges if r[0] < head[0]]
    after = [r for r in ranges if r[0] >= head[0]]
    described = {attribute.value: attribute for attribute in absence(sentence, head)}
    for start, end in (*_joined_numerals(sentence, before), *after):
        value = vocabulary.attribute(sentence.words[start:end])
        value = denied_value(sentence, (start, end), head, value)
        described.setdefault(value, Attribute(value, _characters(sentence, start, end)))
    return Entity(
        vocabulary.entity(sentence.words[slice(*head)]),
        tuple(described.values()),
        _characters(sentence, _phrase_start(sentence, head[0], before), head[1]),
        _characters(sentence, *head),
        grammatical_number(sentence.tags[head[1] - 1], tuple(described)),
    )


def _joined_numerals(sentence: Sentence, ranges: Sequence[Range]) -> list[Range]:
    """Return ranges in order, neighbours that are one numeral ("twenty", "five") as one."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        first = joined[-1][0] if joined and joined[-1][1] == start else start
        if first < start and numeral(sentence.words[first:end]):
            joined[-1] = (first, end)
        else:
            joined.append((start, end))
    return joined


def _phrase_start(sentence: Sentence, start: int, attributes: Sequence[Range]) -> int:
    """Return where the phrase begins: at the first of the attributes that lead up to the head."""
    inside = {token for first, end in attributes for token in range(first, end)}
    place = start
    while place > 0 and (place - 1 in inside or (sentence.codes[place - 1] in ",KR" and place - 2 in inside)):
        place -= 1
    return place


def _predicate_range(run: tuple[int, ...], subject: Range, target: Range) -> Range:
    """Return the tokens of a copied predicate, or those between the entities, or all of these."""
    if run:
        return run[0], run[-1] + 1
    first, second = sorted((subject, target))
    return (first[1], second[0]) if first[1] < second[0] else (first[0], second[1])


def _verbal(sentence: Sentence, predicate: str, run: tuple[int, ...]) -> bool:
    if run:
        return any(sentence.codes[token] in VERBAL_CODES for token in run)
    first = predicate.split()[0]
    return first not in lexicon.PREPOSITIONS and first not in ("have", "next", "close", "away")


def _characters(sentence: Sentence, start: int, end: int) -> Span:
    return sentence.tokens[start][0], sentence.tokens[end - 1][1]
