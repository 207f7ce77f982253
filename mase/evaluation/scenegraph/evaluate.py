"""Score a parser on gold graphs and time it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from mase.evaluation.scenegraph.factual import GoldGraph, facts_of
from mase.evaluation.scenegraph.spice import spice_f1
from mase.evaluation.scenegraph.synonyms import SynonymLists
from mase.evaluation.scenegraph.triples import TripleScores, score_triples
from mase.scenegraph.graph import SceneGraph

Parse = Callable[[Sequence[str]], list[SceneGraph]]


@dataclass(frozen=True)
class ParserScores:
    """What a parser reaches on a set of captions; scores from 0 to 100.

    Attributes:
        captions: how many.
        triples: set match and exact facts.
        spice: mean SPICE F1 with synonyms; None without synonym lists.
        spice_exact: the same, equal tuples only.
        captions_per_second: wall-clock speed on this machine, after a warm-up.
    """

    captions: int
    triples: TripleScores
    spice: float | None
    spice_exact: float
    captions_per_second: float

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers in one flat object."""
        return {
            "captions": self.captions,
            **asdict(self.triples),
            "spice": self.spice,
            "spice_exact": self.spice_exact,
            "captions_per_second": self.captions_per_second,
        }


def evaluate_parser(
    rows: Sequence[GoldGraph], parse: Parse, *, synonyms: SynonymLists | None = None
) -> ParserScores:
    """Parse the captions of gold rows and return the scores.

    The weights are loaded, on the first caption, before the clock starts.

    Raises:
        ValueError: if there is no row.
    """
    if not rows:
        raise ValueError("no gold graph to score on")
    captions = [row.caption for row in rows]
    parse(captions[:1])
    started = time.perf_counter()
    graphs = parse(captions)
    seconds = time.perf_counter() - started
    found, gold = [facts_of(graph) for graph in graphs], [row.facts for row in rows]

    def spice(lists: SynonymLists | None) -> float:
        return 100 * sum(spice_f1(f, g, lists) for f, g in zip(found, gold, strict=True)) / len(rows)

    return ParserScores(
        captions=len(rows),
        triples=score_triples(found, gold),
        spice=None if synonyms is None else spice(synonyms),
        spice_exact=spice(None),
        captions_per_second=len(rows) / max(seconds, 1e-9),
    )
