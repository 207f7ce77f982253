"""The closed set of edge types of the multimodal-semantic scene graph (MSSG).

Layout, for K predicates (9 + 2K types, whatever the texts): self; attribute, agent and
patient with their inverses; K predicates with their inverses; unknown with its inverse.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mase.errors import ScenegraphError
from mase.scenegraph.graph import SceneGraph

SELF, ATTRIBUTE, AGENT, PATIENT, UNKNOWN = "self", "attribute", "agent", "patient", "unknown"
INVERSE = "^-1"
RESERVED = "reserved"


class RelationInventory:
    """Edge types by id; a type's inverse has the next id, `self` (id 0) is its own.

    Args:
        predicates: the known predicates; their order gives their ids.
        capacity: K; slots that no predicate fills are reserved, so that the size depends on K only.

    Raises:
        ScenegraphError: if a predicate is given twice, or there are more than `capacity`.
    """

    def __init__(self, predicates: Sequence[str], capacity: int | None = None) -> None:
        capacity = len(predicates) if capacity is None else capacity
        if len(set(predicates)) != len(predicates):
            raise ScenegraphError("a relation inventory names a predicate twice")
        if len(predicates) > capacity:
            raise ScenegraphError(f"{len(predicates)} predicates do not fit an inventory of {capacity}")
        self.predicates = tuple(predicates)
        self.capacity = capacity
        reserved = [f"{RESERVED}:{i}" for i in range(len(predicates), capacity)]
        slots = [f":{p}" for p in predicates] + reserved
        pairs = [ATTRIBUTE, AGENT, PATIENT, *slots, UNKNOWN]
        self.names: tuple[str, ...] = (SELF, *(name for pair in pairs for name in (pair, pair + INVERSE)))
        self._ids = {name: i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        """Return R, the number of edge types."""
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        """Compare by names."""
        return isinstance(other, RelationInventory) and self.names == other.names

    def __hash__(self) -> int:
        """Hash by names."""
        return hash(self.names)

    def id_of(self, name: str) -> int:
        """Return the id of a structural type ("self", "agent", ...) or of a predicate, else that of unknown.

        A predicate that is spelt like a structural type is meant as that type here; use
        `predicate_id` for what a text says.
        """
        return self._ids[name] if name in self._ids else self.predicate_id(name)

    def predicate_id(self, predicate: str) -> int:
        """Return the id of a predicate found in a text; `unknown` if it is not in the inventory."""
        return self._ids.get(f":{predicate}", self._ids[UNKNOWN])

    def inverse_of(self, type_id: int) -> int:
        """Return the id of the inverse type."""
        return 0 if type_id == 0 else type_id + 1 if type_id % 2 else type_id - 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description."""
        return {"capacity": self.capacity, "predicates": list(self.predicates)}

    @classmethod
    def from_json(cls, value: dict[str, Any] | str) -> "RelationInventory":
        """Return the inventory that `to_json` described.

        Raises:
            ScenegraphError: if `value` is not such a description.
        """
        try:
            described = json.loads(value) if isinstance(value, str) else value
            return cls([str(p) for p in described["predicates"]], int(described["capacity"]))
        except (KeyError, TypeError, ValueError) as cause:
            raise ScenegraphError(f"not a relation inventory: {cause!r}") from cause

    @classmethod
    def from_graphs(
        cls, graphs: Iterable[SceneGraph], predicates: int, relation_nodes: bool
    ) -> "RelationInventory":
        """Return the inventory of the K = `predicates` most frequent predicates of the training graphs.

        Equal counts are ordered by name. With `relation_nodes` a verb is a node, so only
        predicates without a verb are edge types.
        """
        counts = Counter(
            r.predicate for g in graphs for r in g.relations if not (relation_nodes and r.verbal)
        )
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([name for name, _ in ranked[:predicates]], predicates)
