"""Text to scene graph to typed arrays: tokeniser, tagger, rules, relation inventory, MSSG tables.

Nothing here needs torch or a download; the tagger's weights are in `weights/`.
"""

from mase.scenegraph.coverage import Coverage, coverage
from mase.scenegraph.graph import Attribute, Entity, Relation, SceneGraph
from mase.scenegraph.inventory import RelationInventory
from mase.scenegraph.mssg import NodeKind
from mase.scenegraph.parser import parse
from mase.scenegraph.table import GraphTable, build_graphs

__all__ = [
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
]
