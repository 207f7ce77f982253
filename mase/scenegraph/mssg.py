"""One scene graph as the nodes and typed edges of the multimodal-semantic scene graph.

Message direction: source j -> target i. A fact (subject, predicate, object) is an edge
subject -> object of the predicate's type, and its inverse back.

Reading of the paper
    The paper names object, attribute and relation nodes and does not say which words
    become which. Here entities are object nodes, their attributes attribute nodes, and,
    with `relation_nodes`, predicates with a verb are nodes between agent and patient;
    prepositions stay typed edges.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from mase.scenegraph.graph import SceneGraph, Span
from mase.scenegraph.inventory import AGENT, ATTRIBUTE, PATIENT, SELF, RelationInventory


class NodeKind(IntEnum):
    """What a node stands for."""

    OBJECT = 0
    ATTRIBUTE = 1
    RELATION = 2


@dataclass(slots=True)
class NodesAndEdges:
    """Local nodes (kind, span, phrase) and edges (source, target, type) of one text."""

    kinds: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    edges: dict[tuple[int, int, int], None] = field(default_factory=dict)

    def add_node(self, kind: NodeKind, span: Span, phrase: str) -> int:
        """Add a node and return its index."""
        self.kinds.append(int(kind))
        self.spans.append(span)
        self.phrases.append(phrase)
        return len(self.kinds) - 1

    def connect(self, source: int, target: int, type_id: int, inventory: RelationInventory) -> None:
        """Add an edge and its inverse; an edge that is there already is not added twice."""
        self.edges[source, target, type_id] = None
        self.edges[target, source, inventory.inverse_of(type_id)] = None


def nodes_and_edges(
    graph: SceneGraph, inventory: RelationInventory, *, relation_nodes: bool
) -> NodesAndEdges:
    """Return the MSSG of one text: object nodes first, as the entities; every node has a self loop."""
    result = NodesAndEdges()
    for index, entity in enumerate(graph.entities):
        result.add_node(NodeKind.OBJECT, entity.span, graph.phrase(index).lower())
    for index, entity in enumerate(graph.entities):
        for attribute in entity.described_by:
            node = result.add_node(NodeKind.ATTRIBUTE, attribute.span, attribute.value)
            result.connect(index, node, inventory.id_of(ATTRIBUTE), inventory)
    verbs: dict[tuple[str, Span], int] = {}
    for relation in graph.relations:
        if relation.verbal and relation_nodes:
            key = (relation.predicate, relation.span)
            if key not in verbs:
                verbs[key] = result.add_node(NodeKind.RELATION, relation.span, relation.predicate)
            result.connect(relation.subject, verbs[key], inventory.id_of(AGENT), inventory)
            result.connect(verbs[key], relation.object, inventory.id_of(PATIENT), inventory)
        else:
            type_id = inventory.predicate_id(relation.predicate)
            result.connect(relation.subject, relation.object, type_id, inventory)
    loops = {(node, node, inventory.id_of(SELF)): None for node in range(len(result.kinds))}
    result.edges = loops | result.edges
    return result
