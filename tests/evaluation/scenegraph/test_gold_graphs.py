"""Gold graphs are read exactly, and what is wrong with a file is said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.errors import DataError
from mase.evaluation.scenegraph import facts_in, facts_of, read_factual
from mase.scenegraph import Attribute, Entity, Relation, SceneGraph

NAMES = st.text(alphabet="abz' -0", min_size=1, max_size=8).map(lambda t: " ".join(t.split())).filter(bool)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("( pole )", {("pole",)}),
        ("( man , sit on , dog )", {("man", "sit on", "dog")}),
        (
            "( bus , is , red ) , ( bus , on , road ) , ( bus , is , red )",
            {("bus", "is", "red"), ("bus", "on", "road")},
        ),
        ("(bus,is,red),(a  b , on,c)", {("bus", "is", "red"), ("a b", "on", "c")}),
        ("( Bus , is , red )", {("Bus", "is", "red")}),
        ("( a , next , to , b )", {("a", "next to", "b")}),
    ],
)
def test_graph_text(text: str, facts: set[tuple[str, ...]]) -> None:
    assert facts_in(text) == facts


@given(st.frozensets(st.tuples(NAMES) | st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=5))
def test_what_is_written_is_read(facts: frozenset[tuple[str, ...]]) -> None:
    assert facts_in(" , ".join(f"( {' , '.join(fact)} )" for fact in facts)) == facts


@pytest.mark.parametrize("text", ["", "dog", "( )", "( a , b )", "( a ,  , c )", "( a , is , b", "()"])
def test_no_graph(text: str) -> None:
    with pytest.raises(DataError, match=r"looks like|a fact is"):
        facts_in(text)


def entity(head: str, *values: str) -> Entity:
    return Entity(head, tuple(Attribute(v, (0, 1)) for v in values), (0, 1), (0, 1))


def test_facts_of_a_parsed_graph() -> None:
    related = SceneGraph(
        "", (entity("dog", "red"), entity("mat"), entity("sky")), (Relation(0, "on", 1, (0, 1), False),)
    )
    assert facts_of(related) == {("dog", "is", "red"), ("dog", "on", "mat")}
    assert facts_of(SceneGraph("", (entity("dog"), entity("mat")))) == {("dog",), ("mat",)}
    assert facts_of(SceneGraph("")) == frozenset()


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text('id,caption,scene_graph\n1,"a, b","( a , on , b )"\n', encoding="utf-8")
    row = read_factual(path)[0]
    assert (row.caption, row.facts) == ("a, b", {("a", "on", "b")})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caption,graph\na,b\n", "no column scene_graph; found caption, graph"),
        (b"", "no column caption, scene_graph"),
        (b"caption,scene_graph\n", "no row"),
        (b"caption,scene_graph\na,( a )\nb,( b ; c\n", "line 3"),
        (b"caption,scene_graph\na\n", "line 2: too few columns"),
        (b"caption,scene_graph\n\xff,( a )\n", "not UTF-8"),
        (b'caption,scene_graph\n"a"b,( a )\n', "after line 1"),
    ],
)
def test_malformed_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "gold.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_factual(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_factual(tmp_path / "none.csv")
