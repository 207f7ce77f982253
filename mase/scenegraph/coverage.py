"""How much of a set of texts the parser turns into graphs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mase.scenegraph.graph import SceneGraph

HEADER = (
    "| Set | Texts | No entity | Entities | Attributes | Relations | Most frequent relations |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
)


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

    def to_json(self) -> dict[str, Any]:
        """Return the numbers in one object."""
        return {**asdict(self), "predicates": dict(self.predicates)}

    def to_row(self, name: str) -> str:
        """Return the row of the Markdown table under `HEADER`."""
        listed = ", ".join(f"{predicate} {count:,}" for predicate, count in self.predicates)
        means = f"{self.entities:.2f} | {self.attributes:.2f} | {self.relations:.2f}"
        return f"| {name} | {self.texts:,} | {self.without_entity:.1%} | {means} | {listed} |"


def evenly_spaced(texts: Sequence[str], size: int | None) -> list[str]:
    """Return `size` of the texts at equal distances, or all if there are not more."""
    if size is None or len(texts) <= size:
        return list(texts)
    return [texts[i * len(texts) // size] for i in range(size)]


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
