"""The parser that comes with the package: any text, exact spans, linear work, scores on captions."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mase.evaluation.scenegraph import evaluate_parser, read_factual
from mase.scenegraph import SceneGraph, coverage
from mase.scenegraph import parse as parse_by_rules
from mase.scenegraph.learned import default_parser, parse
from mase.scenegraph.learned.candidates import EntityPairs, entity_pairs
from mase.scenegraph.learned.parser import WEIGHTS
from mase.scenegraph.learned.reading import read_sentences
from mase.scenegraph.learned.spans import Spans
from mase.scenegraph.tagger import default_tagger

WORDS = st.sampled_from(
    "a the red two dog dogs 's of with and , . not is are sitting covered by on in front next to 🙂 there "
    "who that while it has can ' ( ) - horse riding man woman no group \" \n".split(" ")
)


def check(graph: SceneGraph) -> None:
    """Assert what must hold for every graph."""
    text = graph.text
    for entity in graph.entities:
        assert 0 <= entity.span[0] <= entity.head_span[0] < entity.head_span[1] == entity.span[1] <= len(text)
        assert text[slice(*entity.span)] == text[slice(*entity.span)].strip() != ""
        assert entity.head
        assert len(set(entity.attributes)) == len(entity.attributes)
        for attribute in entity.described_by:
            assert 0 <= attribute.span[0] < attribute.span[1] <= len(text)
            assert attribute.value
    for relation in graph.relations:
        assert {relation.subject, relation.object} <= set(range(len(graph.entities)))
        assert relation.subject != relation.object
        assert relation.predicate.strip()
        assert 0 <= relation.span[0] < relation.span[1] <= len(text)
    assert [e.head_span for e in graph.entities] == sorted(e.head_span for e in graph.entities)


@settings(max_examples=20)
@given(st.text(max_size=200) | st.text(alphabet=st.characters(), max_size=60))
def test_arbitrary_unicode(text: str) -> None:
    check(parse([text])[0])


@settings(max_examples=20)
@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_arbitrary_orders_of_words(text: str) -> None:
    check(parse([text])[0])


@pytest.mark.parametrize(
    "piece", ["a dog and ", "red , ", "dog ", "a man holding a cat and a dog ", "a", "on it "]
)
def test_long_texts(piece: str) -> None:
    graph = parse([piece * (3_000 // len(piece))])[0]
    check(graph)
    assert len(graph.relations) <= 3_000


def test_pairs_grow_linearly_with_the_length() -> None:
    sizes = []
    for repetitions in (60, 120):
        (pieces,) = read_sentences(["dog " * repetitions], default_tagger())
        spans = [Spans(tuple((i, i + 1) for i in range(len(p))), (), ()) for p in pieces]
        pairs: EntityPairs = entity_pairs(pieces, spans, {})
        sizes.append(len(pairs.keys))
    assert sizes[1] == 2 * sizes[0]


def test_order_and_company_do_not_matter() -> None:
    texts = [
        "two dogs on a mat",
        "",
        "a man's hat",
        "a red car parked next to a tall tree.",
        "two dogs on a mat",
    ]
    together = parse(texts)
    assert [g.text for g in together] == texts
    assert [g.facts for g in parse(texts[::-1])[::-1]] == [g.facts for g in together]
    assert [parse([text])[0].facts for text in texts] == [g.facts for g in together]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("a red and white bus", {("bus", "is", "red"), ("bus", "is", "white")}),
        ("Leg of the man", {("man", "have", "leg")}),
        ("two dogs sitting on a cell phone", {("dogs", "is", "2"), ("dogs", "sit on", "cellphone")}),
        ("a car in front of a building", {("car", "in front of", "building")}),
        ("a field covered in snow", {("snow", "cover", "field")}),
        ("twenty five people", {("people", "is", "25")}),
        ("two dozen eggs", {("eggs", "is", "24")}),
        ("a cat isn't on the mat", {("cat", "not on", "mat")}),
        ("a man is not wearing a hat", {("man", "not wear", "hat")}),
        ("the bus is not red", {("bus", "is", "not red")}),
        ("there are no people on the beach", {("people", "is", "no"), ("people", "on", "beach")}),
        ("there isn't a dog", {("dog", "is", "no")}),
        ("a guy wearing a hat", {("person", "wear", "hat")}),
    ],
)
def test_captions(text: str, facts: set[tuple[str, str, str]]) -> None:
    assert set(parse([text])[0].facts) == facts


def test_number() -> None:
    graph = parse(["two sheep and a dog near the people"])[0]
    assert [(e.head, e.number) for e in graph.entities] == [
        ("sheep", "plural"),
        ("dog", "singular"),
        ("people", "plural"),
    ]


def test_sentences_of_a_document() -> None:
    graph = parse(["A dog on a mat. A cat under a table."])[0]
    assert set(graph.facts) == {("dog", "on", "mat"), ("cat", "under", "table")}
    assert [graph.text[slice(*e.head_span)] for e in graph.entities] == ["dog", "mat", "cat", "table"]


def test_dev_captions(shared_data: Path) -> None:
    rows = read_factual(shared_data / "factual_sg" / "random" / "dev.csv")
    learned, rules = evaluate_parser(rows, parse).triples, evaluate_parser(rows, parse_by_rules).triples
    assert learned.set_match > max(FLOORS[0], rules.set_match + 3)
    assert learned.f1 > max(FLOORS[1], rules.f1 + 3)


FLOORS = (72, 79)


def test_other_texts_have_sane_coverage(shared_data: Path) -> None:
    lines = (shared_data / "glue" / "MRPC" / "train.tsv").read_text("utf-8-sig").splitlines()[1:61]
    graphs = parse([line.split("\t")[3] for line in lines])
    for graph in graphs:
        check(graph)
    found = coverage(graphs)
    assert found.without_entity < 0.05
    assert found.entities > 2


def test_weights_are_small_and_named() -> None:
    assert WEIGHTS.stat().st_size <= 4_000_000
    assert (WEIGHTS.parent / "LICENCE.md").is_file()
    assert len(default_parser().vocabulary.predicates) > 100
