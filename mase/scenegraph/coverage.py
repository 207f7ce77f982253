"""How much of a set of texts the parser turns into graphs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mase.scenegraph.graph import SceneGraph


@dataclass(frozen=True)
class Coverage:
    """Counts over a set of scene graphs.

    Attributes:
        texts: how many.
        without_entity: share of texts with no entity.
        entities, attributes, relations: mean per text.
        predicates: the most frequent predicates with their counts.
    """

    texts: int
    without_entity: float
    entities: float
    attributes: float
    relations: float
    predicates: tuple[tuple[str, int], ...]


def coverage(graphs: Sequence[SceneGraph], *, most: int = 10) -> Coverage:
    """Summarise graphs: share of texts with no entity, means per text, most frequent predicates.

    No graph at all gives zeros.
    """
    size = max(len(graphs), 1)
    counts = Counter(r.predicate for g in graphs for r in g.relations)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Coverage(
        texts=len(graphs),
        without_entity=sum(not g.entities for g in graphs) / size,
        entities=sum(len(g.entities) for g in graphs) / size,
        attributes=sum(len(e.attributes) for g in graphs for e in g.entities) / size,
        relations=sum(len(g.relations) for g in graphs) / size,
        predicates=tuple(ranked[:most]),
    )
