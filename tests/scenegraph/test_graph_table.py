"""The relation inventory and the stored CSR arrays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mase import artifacts
from mase.errors import ArtifactError, ScenegraphError
from mase.scenegraph import GraphTable, NodeKind, RelationInventory, build_graphs, parse

TEXTS = [
    "a black dog sitting on a mat under the table",
    "two men ride a horse and a camel",
    "a cat on a bed",
    "the bird is near the bench",
    "",
    "🙂",
]


def edges_of(table: GraphTable, text: str) -> set[tuple[str, str, str]]:
    """Return a text's edges as (source phrase, type, target phrase)."""
    row = int(table.rows([text])[0])
    first = int(table.node_pointer[row])
    phrase = [table.phrases[i] for i in table.node_phrase[first : table.node_pointer[row + 1]]]
    part = slice(int(table.edge_pointer[row]), int(table.edge_pointer[row + 1]))
    names = table.inventory.names
    columns = (table.edge_source[part], table.edge_type[part], table.edge_target[part])
    return {(phrase[s], names[t], phrase[d]) for s, t, d in zip(*columns, strict=True)}


def check_arrays(table: GraphTable) -> None:
    """Assert the invariants of the arrays."""
    for pointer, size in (
        (table.node_pointer, len(table.node_kind)),
        (table.edge_pointer, len(table.edge_type)),
    ):
        assert pointer[0] == 0
        assert pointer[-1] == size
        assert (np.diff(pointer) >= 0).all()
        assert len(pointer) == len(table) + 1
    assert len(table.node_start) == len(table.node_end) == len(table.node_phrase) == len(table.node_kind)
    for row, text in enumerate(table.texts):
        nodes = slice(int(table.node_pointer[row]), int(table.node_pointer[row + 1]))
        part = slice(int(table.edge_pointer[row]), int(table.edge_pointer[row + 1]))
        count = nodes.stop - nodes.start
        columns = (table.edge_source[part], table.edge_target[part], table.edge_type[part])
        edges = list(zip(*(c.tolist() for c in columns), strict=True))
        assert len(set(edges)) == len(edges)
        assert {(s, d) for s, d, t in edges if t == 0} == {(i, i) for i in range(count)}
        for source, target, type_id in edges:
            assert 0 <= source < count
            assert 0 <= target < count
            assert 0 <= type_id < len(table.inventory)
            assert (target, source, table.inventory.inverse_of(type_id)) in edges
        assert (table.node_start[nodes] < table.node_end[nodes]).all()
        assert (table.node_end[nodes] <= len(text)).all()
        assert (table.node_phrase[nodes] < len(table.phrases)).all()
        assert set(table.node_kind[nodes].tolist()) <= set(NodeKind)


def test_relation_nodes_stand_between_agent_and_patient() -> None:
    table = build_graphs(TEXTS, inventory_texts=TEXTS, predicates=4)
    check_arrays(table)
    men = "two men ride a horse and a camel"
    assert {e for e in edges_of(table, men) if e[1] != "self"} == {
        ("two men", "attribute", "2"), ("2", "attribute^-1", "two men"),
        ("two men", "agent", "ride"), ("ride", "agent^-1", "two men"),
        ("ride", "patient", "horse"), ("horse", "patient^-1", "ride"),
        ("ride", "patient", "camel"), ("camel", "patient^-1", "ride"),
    }  # fmt: skip
    row = int(table.rows([men])[0])
    verb = int(table.node_pointer[row + 1]) - 1
    assert table.node_kind[verb] == NodeKind.RELATION
    assert men[table.node_start[verb] : table.node_end[verb]] == "ride"
    assert ("black dog", "agent", "sit on") in edges_of(table, TEXTS[0])
    assert ("mat", ":under", "table") in edges_of(table, TEXTS[0])


def test_without_relation_nodes_every_predicate_is_a_typed_edge() -> None:
    table = build_graphs(TEXTS, inventory_texts=TEXTS, predicates=8, relation_nodes=False)
    check_arrays(table)
    assert NodeKind.RELATION not in table.node_kind
    assert ("black dog", ":sit on", "mat") in edges_of(table, TEXTS[0])
    assert ("mat", ":sit on^-1", "black dog") in edges_of(table, TEXTS[0])


def test_unknown_predicates_share_a_type() -> None:
    inventory = RelationInventory(["on"])
    table = build_graphs(TEXTS, inventory=inventory)
    assert ("cat", ":on", "bed") in edges_of(table, TEXTS[2])
    assert ("bird", "unknown", "bench") in edges_of(table, TEXTS[3])
    assert ("bench", "unknown^-1", "bird") in edges_of(table, TEXTS[3])


def test_texts_without_entity_have_no_node_and_texts_are_stored_once() -> None:
    table = build_graphs([*TEXTS, *TEXTS], inventory_texts=[], predicates=2)
    assert table.texts == tuple(sorted(TEXTS))
    rows = table.rows(["", "🙂", TEXTS[0], ""])
    assert (np.diff(table.node_pointer)[rows] == [0, 0, 5, 0]).all()
    assert (np.diff(table.edge_pointer)[rows][:2] == 0).all()
    with pytest.raises(ScenegraphError, match="never seen"):
        table.rows(["never seen"])
    nothing = build_graphs(["", "🙂"], inventory_texts=[], predicates=2)
    check_arrays(nothing)
    assert len(nothing.node_kind) == 0


@settings(max_examples=15)
@given(st.lists(st.text(max_size=60) | st.sampled_from(TEXTS), max_size=6), st.booleans())
def test_invariants_hold_for_any_texts(texts: list[str], relation_nodes: bool) -> None:
    check_arrays(build_graphs(texts, inventory_texts=texts, predicates=3, relation_nodes=relation_nodes))


def test_a_stored_table_is_opened_and_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_graphs(TEXTS, inventory_texts=TEXTS, predicates=4, root=tmp_path)
    monkeypatch.setattr("mase.scenegraph.parser.parse", lambda texts: pytest.fail("parsed again"))
    again = build_graphs(reversed(TEXTS), inventory_texts=list(reversed(TEXTS)), predicates=4, root=tmp_path)
    assert again.digest == first.digest
    assert isinstance(again.edge_type, np.memmap)
    assert again.inventory == first.inventory
    with pytest.raises(ValueError, match="read-only"):
        again.edge_type[0] = 1


def test_the_digest_depends_on_texts_and_settings(tmp_path: Path) -> None:
    digests = {
        build_graphs(texts, inventory_texts=train, predicates=k, relation_nodes=nodes, root=tmp_path).digest
        for texts, train, k, nodes in [
            (TEXTS, TEXTS, 4, True),
            (TEXTS[1:], TEXTS, 4, True),
            (TEXTS, TEXTS[1:], 4, True),
            (TEXTS, TEXTS, 5, True),
            (TEXTS, TEXTS, 4, False),
        ]
    }
    assert len(digests) == 5


def test_changed_bytes_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = build_graphs(TEXTS, inventory_texts=TEXTS, predicates=4, root=tmp_path)
    folder = tmp_path / "graphs" / table.digest
    path = folder / "edge_type.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    monkeypatch.setattr(artifacts, "_VERIFIED", set())
    with pytest.raises(ArtifactError, match="checksum"):
        GraphTable.load(folder)


def test_exactly_one_source_of_the_inventory() -> None:
    with pytest.raises(ScenegraphError, match="either"):
        build_graphs(TEXTS)
    with pytest.raises(ScenegraphError, match="either"):
        build_graphs(TEXTS, inventory=RelationInventory([]), inventory_texts=TEXTS)


def test_the_inventory_counts_the_training_graphs() -> None:
    graphs = parse(["a cat on a bed", "a cat on a mat", "a dog near a tree", "a man riding a horse"])
    typed = RelationInventory.from_graphs(graphs, predicates=3, relation_nodes=False)
    assert typed.predicates == ("on", "near", "ride")
    assert RelationInventory.from_graphs(graphs, predicates=1, relation_nodes=False).predicates == ("on",)
    nodes = RelationInventory.from_graphs(graphs, predicates=3, relation_nodes=True)
    assert nodes.predicates == ("on", "near")
    assert len(nodes) == len(typed) == 9 + 2 * 3
    assert len(set(nodes.names)) == len(nodes)


def test_ids_and_inverses() -> None:
    inventory = RelationInventory(["on", "self", "attribute"], capacity=4)
    assert inventory.names[:7] == (
        "self",
        "attribute",
        "attribute^-1",
        "agent",
        "agent^-1",
        "patient",
        "patient^-1",
    )
    assert [inventory.inverse_of(inventory.inverse_of(i)) for i in range(len(inventory))] == list(
        range(len(inventory))
    )
    assert inventory.inverse_of(inventory.id_of("on")) == inventory.id_of("on^-1")
    assert inventory.id_of("beside") == inventory.id_of("unknown") == len(inventory) - 2
    assert inventory.predicate_id("self") != inventory.id_of("self") == 0
    assert RelationInventory.from_json(inventory.to_json()) == inventory
    with pytest.raises(ScenegraphError, match="twice"):
        RelationInventory(["on", "on"])
    with pytest.raises(ScenegraphError, match="do not fit"):
        RelationInventory(["on", "in"], capacity=1)
    with pytest.raises(ScenegraphError, match="not a relation inventory"):
        RelationInventory.from_json({"predicates": ["on"]})
