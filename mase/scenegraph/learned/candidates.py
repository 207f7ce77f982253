"""The pairs of spans that the network scores, as arrays over a batch of sentences of one length.

Tokens of the batch are numbered through: token i of sentence b is row b * length + i.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mase.scenegraph.learned.reading import Sentence
from mase.scenegraph.learned.spans import Range, Spans

REACH = 20
"""Entities further apart than so many tokens are never related."""
NEAREST_RUNS = 6
FARTHEST, MOST_BETWEEN = 10, 4
NO_RULE, OTHER_RULE = 0, 1


@dataclass
class AttributePairs:
    """Each attribute with each entity of its sentence; the lists are parallel.

    Attributes:
        keys: (sentence, attribute, entity).
        attribute, entity: rows of first and last token.
        features: distance bucket, whether the rules link them.
    """

    keys: list[tuple[int, int, int]] = field(default_factory=list)
    attribute: list[Range] = field(default_factory=list)
    entity: list[Range] = field(default_factory=list)
    features: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class EntityPairs:
    """Each ordered pair of entities of a sentence within reach; the lists are parallel.

    Attributes:
        keys: (sentence, subject, object).
        subject, object: rows of first and last token.
        between: the tokens [start, end) of the sentence between them.
        features: distance bucket, entities between bucket, the rules' predicate forth and back
            (`NO_RULE`, `OTHER_RULE`, or 2 + its id in the closed set).
        runs: the nearest predicate runs: index in the sentence, rows of first and last token, and the
            bucket of where it stands.
    """

    keys: list[tuple[int, int, int]] = field(default_factory=list)
    subject: list[Range] = field(default_factory=list)
    object: list[Range] = field(default_factory=list)
    between: list[Range] = field(default_factory=list)
    features: list[tuple[int, int, int, int]] = field(default_factory=list)
    runs: list[list[tuple[int, int, int, int]]] = field(default_factory=list)

    def run_array(self) -> np.ndarray:
        """Return the runs as (pairs, most, 4) int64, padded with -1."""
        most = max(map(len, self.runs), default=0)
        padded = np.full((len(self.runs), most, 4), -1, dtype=np.int64)
        for place, runs in enumerate(self.runs):
            if runs:
                padded[place, : len(runs)] = runs
        return padded


def attribute_pairs(sentences: Sequence[Sentence], spans: Sequence[Spans]) -> AttributePairs:
    """Pair every attribute with every entity of its sentence within reach."""
    pairs = AttributePairs()
    for number, (sentence, parts) in enumerate(zip(sentences, spans, strict=True)):
        base = number * len(sentence)
        for i, (a_start, a_end) in enumerate(parts.attributes):
            for j, (start, end) in enumerate(parts.entities):
                if abs(start - a_start) > REACH:
                    continue
                pairs.keys.append((number, i, j))
                pairs.attribute.append((base + a_start, base + a_end - 1))
                pairs.entity.append((base + start, base + end - 1))
                linked = (a_start, end - 1) in sentence.rule_attributes
                pairs.features.append((_distance(start - a_start), int(linked)))
    return pairs


def entity_pairs(
    sentences: Sequence[Sentence], spans: Sequence[Spans], predicate_ids: Mapping[str, int]
) -> EntityPairs:
    """Pair every two entities of a sentence within reach, in both orders."""
    pairs = EntityPairs()
    for number, (sentence, parts) in enumerate(zip(sentences, spans, strict=True)):
        base = number * len(sentence)
        for i, subject in enumerate(parts.entities):
            for j, target in enumerate(parts.entities):
                if i == j or abs(subject[0] - target[0]) > REACH:
                    continue
                first, second = sorted((subject, target))
                forth, back = (
                    _rule_id(sentence.rule_relations.get((a[1] - 1, b[1] - 1)), predicate_ids)
                    for a, b in ((subject, target), (target, subject))
                )
                between = min(abs(j - i) - 1, MOST_BETWEEN) * 2 + (j > i)
                pairs.keys.append((number, i, j))
                pairs.subject.append((base + subject[0], base + subject[1] - 1))
                pairs.object.append((base + target[0], base + target[1] - 1))
                pairs.between.append((first[1], max(second[0], first[1])))
                pairs.features.append((_distance(target[0] - subject[0]), between, forth, back))
                pairs.runs.append(_nearest_runs(parts.runs, first, second, base))
    return pairs


def _rule_id(predicate: str | None, predicate_ids: Mapping[str, int]) -> int:
    if predicate is None:
        return NO_RULE
    return 2 + predicate_ids[predicate] if predicate in predicate_ids else OTHER_RULE


def _nearest_runs(
    runs: Sequence[tuple[int, ...]], first: Range, second: Range, base: int
) -> list[tuple[int, int, int, int]]:
    """Return the runs nearest to a pair, in order: index, rows of first and last token, place bucket."""
    ranked = sorted((abs(2 * run[0] - first[1] - second[0]), i) for i, run in enumerate(runs))
    return [
        (i, base + runs[i][0], base + runs[i][-1], _place(runs[i], first, second, i, runs))
        for i in sorted(i for _, i in ranked[:NEAREST_RUNS])
    ]


def _place(
    run: tuple[int, ...], first: Range, second: Range, index: int, runs: Sequence[tuple[int, ...]]
) -> int:
    """Return 0 before the pair, 1 after it, and between them 2 + which run it is, counted from the end."""
    if run[0] < first[0]:
        return 0
    if run[0] >= second[0]:
        return 1
    later = sum(other[0] < second[0] for other in runs[index + 1 : index + 3])
    return 2 + later


RUN_PLACES = 5
DISTANCES = 2 * FARTHEST + 1
BETWEENS = 2 * MOST_BETWEEN + 2


def _distance(tokens: int) -> int:
    return max(-FARTHEST, min(FARTHEST, tokens)) + FARTHEST
