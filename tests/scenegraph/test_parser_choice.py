"""The parser is chosen by name, is part of a table's identity, and makes the inventory too."""

import subprocess
import sys
from pathlib import Path

import pytest

from mase import artifacts
from mase.errors import ParamsError, ScenegraphError
from mase.scenegraph import PARSERS, build_graphs, choice, factual_package, parse_function, parser_identity
from mase.scenegraph import parser as rules
from mase.scenegraph.learned import parser as learned
from mase.scenegraph.tagger import WEIGHTS

TEXTS = ["a guy wearing a hat", "a cell phone of the man", "two dogs sitting on a cell phone"]
ABSENT = "no_such_package_of_scene_graphs"


def test_the_rules_identity_is_version_and_tagger() -> None:
    tagger = artifacts.sha256_file(WEIGHTS)
    assert parser_identity("rules") == {"name": "rules", "version": rules.VERSION, "tagger": tagger}


def test_the_learned_identity_names_all_that_it_reads() -> None:
    assert parser_identity("learned") == {
        "name": "learned",
        "version": learned.VERSION,
        "rules": rules.VERSION,
        "tagger": artifacts.sha256_file(WEIGHTS),
        "weights": artifacts.sha256_file(learned.WEIGHTS),
    }


def test_an_identity_is_a_copy() -> None:
    parser_identity("rules")["version"] = -1
    assert parser_identity("rules")["version"] == rules.VERSION


def test_the_same_rules_table_as_before_there_was_a_choice(tmp_path: Path) -> None:
    """Its identity has no key but these, so stored tables stay valid."""
    table = build_graphs(TEXTS, inventory_texts=[], predicates=2, root=tmp_path)
    identity = artifacts.verify(tmp_path / "graphs" / table.digest)["identity"]
    settings = {"texts", "relation_nodes", "inventory", "inventory_texts", "predicates"}
    assert identity.keys() - settings == {"parser", "tagger"}
    assert (identity["parser"], identity["tagger"]) == (rules.VERSION, artifacts.sha256_file(WEIGHTS))


def test_the_chosen_parser_makes_graphs_and_inventory(tmp_path: Path) -> None:
    tables = {
        name: build_graphs(TEXTS, inventory_texts=TEXTS, predicates=4, root=tmp_path, parser=name)
        for name in ("rules", "learned")
    }
    assert tables["rules"].digest != tables["learned"].digest
    manifest = artifacts.verify(tmp_path / "graphs" / tables["learned"].digest)
    assert manifest["identity"]["parser"] == parser_identity("learned")
    for name, table in tables.items():
        graphs = parse_function(name)(TEXTS)
        predicates = {r.predicate for g in graphs for r in g.relations if not r.verbal}
        assert set(table.inventory.predicates) == predicates
        phrases = {g.phrase(i).lower() for g in graphs for i in range(len(g.entities))}
        assert phrases <= set(table.phrases)


def test_the_inventory_of_texts_that_are_not_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mase.scenegraph.parser.parse", lambda texts: pytest.fail("read by the rules"))
    table = build_graphs(["a cat"], inventory_texts=TEXTS, predicates=4, root=tmp_path, parser="learned")
    assert "have" in table.inventory.predicates


def test_parsers_by_name() -> None:
    assert parse_function("rules") is rules.parse
    assert parse_function("learned") is learned.parse


@pytest.mark.parametrize("function", [parse_function, parser_identity])
def test_an_unknown_parser_is_refused_with_the_names(function: object) -> None:
    assert callable(function)
    with pytest.raises(ParamsError, match=", ".join(PARSERS)):
        function("stanford")


@pytest.mark.parametrize("function", [parse_function, parser_identity])
def test_a_missing_package_is_refused_with_a_remedy(
    function: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factual_package, "PACKAGE", ABSENT)
    choice._identity.cache_clear()
    assert callable(function)
    with pytest.raises(ScenegraphError, match=f'pip install "{ABSENT}<0.7"'):
        function("factual-t5")


def test_a_package_of_a_version_that_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factual_package, "version", lambda package: "0.7.3")
    with pytest.raises(ScenegraphError, match="0.7.3 does not work.*<0.7"):
        factual_package.installed_version()
    monkeypatch.setattr(factual_package, "version", lambda package: "0.6.1")
    assert factual_package.installed_version() == "0.6.1"


def test_the_rules_and_every_identity_do_without_torch() -> None:
    code = (
        "import sys; from mase.scenegraph import parser_identity, parse_function, build_graphs; "
        "parser_identity('learned'); parse_function('rules')(['a dog']); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
