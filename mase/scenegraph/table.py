"""Graphs of many texts as flat arrays (CSR), stored once and memory-mapped."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int8, Int32, Int64

from mase import artifacts
from mase.errors import ScenegraphError
from mase.scenegraph.choice import RULES, Parse, parse_function, parser_identity
from mase.scenegraph.inventory import RelationInventory
from mase.scenegraph.mssg import NodesAndEdges, nodes_and_edges

VERSION = 1
CHUNK = 4096
HEADER = 128
ARRAYS = {
    "node_pointer": np.int64,
    "node_kind": np.int8,
    "node_start": np.int32,
    "node_end": np.int32,
    "node_phrase": np.int32,
    "edge_pointer": np.int64,
    "edge_source": np.int32,
    "edge_target": np.int32,
    "edge_type": np.int32,
}


@dataclass(frozen=True, eq=False)
class GraphTable:
    """The MSSG of every text of a list of n different texts; N nodes and E edges in all.

    Attributes:
        texts: the texts, sorted.
        node_pointer: text t has the nodes node_pointer[t] to node_pointer[t + 1].
        node_kind: 0 object, 1 attribute, 2 relation (`mase.scenegraph.mssg.NodeKind`).
        node_start, node_end: character offsets of the node's words in its text.
        node_phrase: index into `phrases`.
        edge_pointer: text t has the edges edge_pointer[t] to edge_pointer[t + 1].
        edge_source, edge_target: node indices within the text; messages go from source to target.
        edge_type: ids of `inventory`; self loops and inverse edges are included.
        phrases: the different phrases of the nodes, sorted: of an object its modifiers and head, of an
            attribute the attribute, of a relation the predicate.
        inventory: the edge types.
        digest: identity of the stored arrays.
    """

    texts: tuple[str, ...]
    node_pointer: Int64[np.ndarray, " texts_plus_1"]
    node_kind: Int8[np.ndarray, " N"]
    node_start: Int32[np.ndarray, " N"]
    node_end: Int32[np.ndarray, " N"]
    node_phrase: Int32[np.ndarray, " N"]
    edge_pointer: Int64[np.ndarray, " texts_plus_1"]
    edge_source: Int32[np.ndarray, " E"]
    edge_target: Int32[np.ndarray, " E"]
    edge_type: Int32[np.ndarray, " E"]
    phrases: list[str]
    inventory: RelationInventory
    digest: str
    _index: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the texts."""
        self._index.update((text, row) for row, text in enumerate(self.texts))

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def rows(self, texts: Iterable[str]) -> Int[np.ndarray, " n"]:
        """Return the row of each text, int64.

        Raises:
            ScenegraphError: if a text has no graph here (names the first one).
        """
        try:
            return np.array([self._index[text] for text in texts], dtype=np.int64)
        except KeyError as cause:
            raise ScenegraphError(f"no graph was built for the text {cause.args[0]!r:.120}") from cause

    @classmethod
    def load(cls, folder: Path) -> "GraphTable":
        """Open a stored table; the arrays are memory-mapped.

        Raises:
            ArtifactError: if a file is missing or its bytes changed.
        """
        manifest = artifacts.verify(folder)
        arrays = {name: _open_array(folder / f"{name}.npy") for name in ARRAYS}
        texts, phrases = (_read_json(folder / f"{name}.json") for name in ("texts", "phrases"))
        inventory = RelationInventory.from_json(_read_json(folder / "inventory.json"))
        return cls(tuple(texts), **arrays, phrases=phrases, inventory=inventory, digest=manifest["digest"])


def build_graphs(
    texts: Iterable[str],
    *,
    inventory: RelationInventory | None = None,
    inventory_texts: Iterable[str] | None = None,
    predicates: int = 32,
    relation_nodes: bool = True,
    parser: str = RULES,
    root: Path | None = None,
) -> GraphTable:
    """Return the graphs of the different texts among `texts`, parsed only if they are not stored yet.

    Args:
        texts: any texts; order and repetitions do not matter.
        inventory: the edge types; None: made from `inventory_texts`.
        inventory_texts: the training texts, whose most frequent predicates become edge types.
        predicates: K, how many of them; ignored when an inventory is given.
        relation_nodes: whether a predicate with a verb is a node (True) or a typed edge (False).
        parser: which parser reads the texts, one of `mase.scenegraph.choice.PARSERS`; an inventory
            made here is made with it too.
        root: the artifact store, by default `mase.artifacts.home()`.

    Raises:
        ParamsError: if there is no such parser.
        ScenegraphError: if neither or both of `inventory` and `inventory_texts` are given, or the
            parser's weights or package are missing.
        ArtifactError: if a stored table does not match its manifest.
    """
    if (inventory is None) == (inventory_texts is None):
        raise ScenegraphError("give build_graphs either an inventory or inventory_texts, not both")
    unique = sorted(set(texts))
    training = sorted(inventory_texts) if inventory_texts is not None else []
    parse = parse_function(parser)
    identity = {
        "texts": _digest_of(unique),
        **_parser_part(parser),
        "relation_nodes": relation_nodes,
        "inventory": inventory.to_json() if inventory is not None else None,
        "inventory_texts": _digest_of(training) if inventory is None else None,
        "predicates": predicates if inventory is None else None,
    }

    def write(folder: Path) -> Mapping[str, Any]:
        chosen = inventory or RelationInventory.from_graphs(parse(training), predicates, relation_nodes)
        return _write(folder, unique, chosen, relation_nodes, parse)

    return GraphTable.load(artifacts.build("graphs", identity, write, version=VERSION, root=root))


def _parser_part(parser: str) -> dict[str, Any]:
    """Return the parser's part of a table's identity; of the rules, version and tagger as they ever were."""
    identity = parser_identity(parser)
    if parser == RULES:
        return {"parser": identity["version"], "tagger": identity["tagger"]}
    return {"parser": identity}


def _write(
    folder: Path, texts: Sequence[str], inventory: RelationInventory, relation_nodes: bool, parse: Parse
) -> dict[str, int]:
    """Parse the texts and write the arrays; return the counts for the manifest."""
    graphs = [
        nodes_and_edges(graph, inventory, relation_nodes=relation_nodes)
        for start in range(0, len(texts), CHUNK)
        for graph in parse(texts[start : start + CHUNK])
    ]
    phrases = sorted({phrase for graph in graphs for phrase in graph.phrases})
    for name, values in _columns(graphs, {phrase: i for i, phrase in enumerate(phrases)}).items():
        np.save(folder / f"{name}.npy", np.array(values, dtype=ARRAYS[name]), allow_pickle=False)
    artifacts.write_atomically(folder / "texts.json", json.dumps(list(texts)))
    artifacts.write_atomically(folder / "phrases.json", json.dumps(phrases))
    artifacts.write_json(folder / "inventory.json", inventory.to_json())
    return {
        "texts": len(texts),
        "texts_without_entity": sum(not g.kinds for g in graphs),
        "nodes": sum(len(g.kinds) for g in graphs),
        "edges": sum(len(g.edges) for g in graphs),
        "relation_types": len(inventory),
    }


def _columns(graphs: Sequence[NodesAndEdges], phrase_ids: Mapping[str, int]) -> dict[str, Any]:
    edges = [edge for g in graphs for edge in g.edges]
    spans = [span for g in graphs for span in g.spans]
    return {
        "node_pointer": np.cumsum([0] + [len(g.kinds) for g in graphs]),
        "node_kind": [kind for g in graphs for kind in g.kinds],
        "node_start": [start for start, _ in spans],
        "node_end": [end for _, end in spans],
        "node_phrase": [phrase_ids[phrase] for g in graphs for phrase in g.phrases],
        "edge_pointer": np.cumsum([0] + [len(g.edges) for g in graphs]),
        "edge_source": [source for source, _, _ in edges],
        "edge_target": [target for _, target, _ in edges],
        "edge_type": [type_id for _, _, type_id in edges],
    }


def _digest_of(texts: Sequence[str]) -> str:
    """Return the sha256 of a list of texts; lone surrogates are allowed."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _open_array(path: Path) -> np.ndarray:
    """Map an array read-only; an empty one (a header only) cannot be mapped and is read."""
    return np.load(path, mmap_mode=None if path.stat().st_size <= HEADER else "r", allow_pickle=False)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
