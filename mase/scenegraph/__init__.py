"""Text to scene graph to typed arrays: tokeniser, tagger, rules, relation inventory, MSSG tables.

The rules need neither torch nor a download; the tagger's weights are in `weights/`. `choice` names the
parsers; the learned one (`learned/`) and the adapter `factual_t5` need torch and are imported when chosen.
"""

from mase.scenegraph.choice import PARSERS, parse_function, parser_identity
from mase.scenegraph.coverage import Coverage, coverage
from mase.scenegraph.graph import Attribute, Entity, Relation, SceneGraph
from mase.scenegraph.inventory import RelationInventory
from mase.scenegraph.mssg import NodeKind
from mase.scenegraph.parser import parse
from mase.scenegraph.table import GraphTable, build_graphs

__all__ = [
    "PARSERS",
    "Attribute",
    "Coverage",
    "Entity",
    "GraphTable",
    "NodeKind",
    "Relation",
    "RelationInventory",
    "SceneGraph",
    "build_graphs",
    "coverage",
    "parse",
    "parse_function",
    "parser_identity",
]
