"""SPICE's tuples, synonyms and F1 against values worked by hand."""

from pathlib import Path

import pytest

from mase.errors import DataError
from mase.evaluation.scenegraph import SynonymLists, facts_in, spice_f1
from mase.evaluation.scenegraph.spice import spice_tuples

SYNSETS = """child
1 2
kid
2 3
goat
3
sit
7
bench
8
pew
8
man
9
foot
10
run
11
glass
12
cell_phone
13
mobile
13
hand
14
large
15
lie
16
"""
EXCEPTIONS = "child\nchildren\nfoot\nfeet\nlie\nlay lain\n"


@pytest.fixture
def lists(tmp_path: Path) -> SynonymLists:
    (tmp_path / "english.synsets").write_text(SYNSETS, encoding="utf-8")
    (tmp_path / "english.exceptions").write_text(EXCEPTIONS, encoding="utf-8")
    return SynonymLists.read(tmp_path)


@pytest.mark.parametrize(
    ("phrase", "ids"),
    [
        ("kid", "2 3"),
        ("Kids", "2 3"),
        ("children", "1 2"),
        ("feet", "10"),
        ("benches", "8"),
        ("running", ""),  # no detachment rule undoes a doubled letter
        ("men", "9"),
        ("glass", "12"),
        ("cell  phone", "13"),
        ("handful", "14"),
        ("larger", "15"),
        ("lain", "16"),
        ("unlisted", ""),
        ("", ""),
    ],
)
def test_synsets_of(lists: SynonymLists, phrase: str, ids: str) -> None:
    assert lists.synsets_of(phrase) == set(ids.split())


def test_tuples_are_objects_attributes_and_relations() -> None:
    facts = facts_in("( kid , sit on , bench ) , ( kid , is , small )")
    assert spice_tuples(facts) == [("bench",), ("kid",), ("kid", "sit on", "bench"), ("kid", "small")]
    assert spice_tuples(facts_in("( pole )")) == [("pole",)]


@pytest.mark.parametrize(
    ("found", "gold", "exact", "with_synonyms"),
    [
        # (kid) (bench) (kid, sit, bench) against (child) (pew) (child, sit, pew): all by synonyms
        ("( kid , sit , bench )", "( child , sit , pew )", 0, 1),
        # the relation is in no synset: only the objects are matched, 2 of 3
        ("( kid , sit on , bench )", "( child , sit on , pew )", 0, 2 / 3),
        # found (bench) (bench, red); gold (bench) (bench, on, man) (man): 1 of 2, 1 of 3
        ("( bench , is , red )", "( bench , on , man )", 2 / 5, 2 / 5),
        # one gold (kid) cannot be matched twice: equal "kid" first, "child" has no partner
        ("( kid ) , ( child )", "( kid )", 2 / 3, 2 / 3),
        ("( goat )", "( child )", 0, 0),
        ("( man , is , small )", "( man , is , small )", 1, 1),
    ],
)
def test_f1(lists: SynonymLists, found: str, gold: str, exact: float, with_synonyms: float) -> None:
    assert spice_f1(facts_in(found), facts_in(gold)) == pytest.approx(exact)
    assert spice_f1(facts_in(found), facts_in(gold), lists) == pytest.approx(with_synonyms)


def test_nothing() -> None:
    assert spice_f1(frozenset(), frozenset()) == 1
    assert spice_f1(frozenset(), facts_in("( a )")) == spice_f1(facts_in("( a )"), frozenset()) == 0


def test_unusable_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"give the folder with english\.synsets"):
        SynonymLists.read(tmp_path)
    (tmp_path / "english.synsets").write_text("kid\n1\nchild\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3: the last entry has no second line"):
        SynonymLists.read(tmp_path)
    (tmp_path / "english.synsets").write_bytes(b"\xff\n1\n")
    with pytest.raises(DataError, match="not UTF-8"):
        SynonymLists.read(tmp_path)


def test_the_lists_that_come_with_the_data(shared_data: Path) -> None:
    lists = SynonymLists.read(shared_data / "factual_sg" / "spice_synonyms")
    assert lists.synsets_of("couch") & lists.synsets_of("sofas")
    assert lists.synsets_of("geese") == lists.synsets_of("goose")
    assert not lists.synsets_of("dog") & lists.synsets_of("bench")
