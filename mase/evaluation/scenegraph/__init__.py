"""Metrics of scene-graph parsers against gold graphs: set match, exact triples, SPICE.

Facts are tuples of strings: a triple, or a bare entity alone. The parser under test
comes in as a function, so this room knows graphs but no parser.
"""

from mase.evaluation.scenegraph.corpora import texts_in
from mase.evaluation.scenegraph.evaluate import ParserScores, evaluate_parser
from mase.evaluation.scenegraph.factual import GoldGraph, facts_in, facts_of, read_factual
from mase.evaluation.scenegraph.spice import spice_f1
from mase.evaluation.scenegraph.synonyms import SynonymLists
from mase.evaluation.scenegraph.triples import TripleScores, score_triples

__all__ = [
    "GoldGraph",
    "ParserScores",
    "SynonymLists",
    "TripleScores",
    "evaluate_parser",
    "facts_in",
    "facts_of",
    "read_factual",
    "score_triples",
    "spice_f1",
    "texts_in",
]
