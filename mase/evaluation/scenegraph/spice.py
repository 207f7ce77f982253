"""SPICE (Anderson et al. 2016) on graphs: F1 over objects, attributes and relations, with synonyms."""

from collections.abc import Sequence

from mase.evaluation.scenegraph.factual import Facts
from mase.evaluation.scenegraph.synonyms import SynonymLists
from mase.evaluation.scenegraph.triples import f1_of
from mase.scenegraph.graph import ATTRIBUTE_PREDICATE

Tuple = tuple[str, ...]


def spice_tuples(facts: Facts) -> list[Tuple]:
    """Return SPICE's tuples, sorted: (object), (object, attribute), (subject, relation, object)."""
    tuples: set[Tuple] = set()
    for fact in facts:
        tuples.add(fact[:1])
        if len(fact) == 3 and fact[1] == ATTRIBUTE_PREDICATE:
            tuples.add((fact[0], fact[2]))
        elif len(fact) == 3:
            tuples |= {fact, fact[2:]}
    return sorted(tuples)


def spice_f1(found: Facts, gold: Facts, synonyms: SynonymLists | None = None) -> float:
    """Return the SPICE F1 of one caption's graph, from 0 to 1.

    Equal tuples are matched first. Then each tuple left is matched with the first gold
    tuple left of the same length whose parts each share a synset with its parts. As in
    the scorer that comes with FACTUAL, a part that is in no synset ("sit on") shares none,
    not even with itself, and synonymous tuples of one graph are not merged.

    Args:
        found: the parser's facts.
        gold: the annotator's facts.
        synonyms: None counts equal tuples only.
    """
    ours, theirs = spice_tuples(found), spice_tuples(gold)
    if not ours and not theirs:
        return 1.0
    equal = set(ours) & set(theirs)
    hits = len(equal)
    if synonyms is not None:
        hits += _synonymous(
            [t for t in ours if t not in equal], [t for t in theirs if t not in equal], synonyms
        )
    return f1_of(hits / max(len(ours), 1), hits / max(len(theirs), 1))


def _synonymous(ours: Sequence[Tuple], theirs: Sequence[Tuple], synonyms: SynonymLists) -> int:
    """Return how many tuples find a synonymous partner; each partner is taken once."""
    left = list(theirs)
    for tuple_ in ours:
        partner = next((other for other in left if _share_synsets(tuple_, other, synonyms)), None)
        if partner is not None:
            left.remove(partner)
    return len(theirs) - len(left)


def _share_synsets(first: Tuple, second: Tuple, synonyms: SynonymLists) -> bool:
    return len(first) == len(second) and all(
        synonyms.synsets_of(a) & synonyms.synsets_of(b) for a, b in zip(first, second, strict=True)
    )
