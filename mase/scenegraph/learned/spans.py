"""The spans of a sentence that the graph is made of, and their coding as one tag per token."""

from collections.abc import Sequence
from dataclasses import dataclass

from mase.scenegraph.learned.alignment import LARGEST_GAP, Alignment, Range

TAGS = ("O", "B-entity", "I-entity", "B-attribute", "I-attribute", "B-predicate", "I-predicate")
OUTSIDE, ENTITY, ATTRIBUTE, PREDICATE = 0, 1, 3, 5


@dataclass(frozen=True)
class Spans:
    """Ranges of tokens in order; a run is the tokens of a predicate, with gaps perhaps."""

    entities: tuple[Range, ...]
    attributes: tuple[Range, ...]
    runs: tuple[tuple[int, ...], ...]


def spans_of_alignment(alignment: Alignment) -> Spans:
    """Return the gold spans."""
    return Spans(
        tuple(sorted(alignment.entities)), tuple(sorted(alignment.attributes)), tuple(sorted(alignment.runs))
    )


def tags_of(spans: Spans, size: int) -> list[int]:
    """Return a tag per token; where spans overlap, entities win over attributes over predicates."""
    tags = [OUTSIDE] * size
    for run in spans.runs:
        for place, token in enumerate(run):
            tags[token] = PREDICATE + (place > 0)
    for first, ranges in ((ATTRIBUTE, spans.attributes), (ENTITY, spans.entities)):
        for start, end in ranges:
            tags[start:end] = [first] + [first + 1] * (end - start - 1)
    return tags


def spans_of(tags: Sequence[int]) -> Spans:
    """Read spans off tags; an inside tag with nothing before it begins a span."""
    runs: list[list[int]] = []
    for place, tag in enumerate(tags):
        if tag == PREDICATE + 1 and runs and place - runs[-1][-1] <= LARGEST_GAP + 1:
            runs[-1].append(place)
        elif tag >= PREDICATE:
            runs.append([place])
    return Spans(_ranges(tags, ENTITY), _ranges(tags, ATTRIBUTE), tuple(map(tuple, runs)))


def _ranges(tags: Sequence[int], first: int) -> tuple[Range, ...]:
    ranges: list[Range] = []
    for place, tag in enumerate(tags):
        if tag == first + 1 and ranges and ranges[-1][1] == place:
            ranges[-1] = (ranges[-1][0], place + 1)
        elif tag in (first, first + 1):
            ranges.append((place, place + 1))
    return tuple(ranges)
