"""Graphs as FACTUAL's model writes them become entities and relations with spans; nothing else is written."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mase.evaluation.scenegraph import evaluate_parser, read_factual
from mase.scenegraph import SceneGraph, factual_t5
from mase.scenegraph.factual_t5 import facts_in_output, graphs_from


def parsed(text: str, output: str) -> SceneGraph:
    return graphs_from([text], lambda sentences: [output for _ in sentences])[0]


@pytest.mark.parametrize(
    ("output", "facts"),
    [
        ("( bus , is , red ) , ( bus , is , white )", [("bus", "is", "red"), ("bus", "is", "white")]),
        ("( Jeep , in front of , house )", [("jeep", "in front of", "house")]),
        ("( trees )", [("trees",)]),
        ("( dog , on , mat ) , ( dog , is", [("dog", "on", "mat")]),
        ("( dog , on ) , ( , is , red ) , ( dog , is , red )", [("dog", "is", "red")]),
        ("( dog , is , red ) , ( dog , is , red )", [("dog", "is", "red")]),
        ("", []),
        ("( )", []),
    ],
)
def test_facts_in_what_a_model_writes(output: str, facts: list[tuple[str, ...]]) -> None:
    assert facts_in_output(output) == facts


def test_a_caption_with_its_spans() -> None:
    text = "Two red dogs are  sitting on a cell phone"
    output = "( dogs , is , 2 ) , ( dogs , is , red ) , ( dogs , sit on , cellphone )"
    graph = parsed(text, output)
    assert [(e.head, e.attributes, text[slice(*e.span)], e.number) for e in graph.entities] == [
        ("dogs", ("2", "red"), "Two red dogs", "plural"),
        ("cellphone", (), "cell phone", "singular"),
    ]
    (relation,) = graph.relations
    assert (relation.predicate, text[slice(*relation.span)], relation.verbal) == (
        "sit on",
        "sitting on",
        True,
    )
    assert set(graph.facts) == {
        ("dogs", "is", "2"),
        ("dogs", "is", "red"),
        ("dogs", "sit on", "cellphone"),
    }


def test_a_predicate_without_words_spans_what_is_between() -> None:
    graph = parsed("the leg of a man", "( man , have , leg )")
    assert [(r.predicate, graph.text[slice(*r.span)], r.verbal) for r in graph.relations] == [
        ("have", "of a", False)
    ]


def test_what_no_word_says_is_left_out() -> None:
    graph = parsed("a dog on a mat", "( dog , on , mat ) , ( dog , is , brown ) , ( cat , on , mat )")
    assert graph.facts == (("dog", "on", "mat"),)
    assert [e.head for e in graph.entities] == ["dog", "mat"]


def test_documents_go_to_the_model_by_sentence_and_once() -> None:
    asked: list[list[str]] = []

    def generate(sentences: list[str]) -> Sequence[str]:
        asked.append(sentences)
        return [{"A dog.": "( dog )", "A cat.": "( cat )"}[sentence] for sentence in sentences]

    graphs = graphs_from(["A dog. A  cat.", "", "A cat."], generate)
    assert asked == [["A dog.", "A cat."]]
    assert [[e.head for e in g.entities] for g in graphs] == [["dog", "cat"], [], ["cat"]]
    assert [graphs[0].text[slice(*e.span)] for e in graphs[0].entities] == ["dog", "cat"]


def test_no_text_asks_no_model() -> None:
    assert graphs_from([], lambda sentences: pytest.fail("asked")) == []
    assert graphs_from([" \n"], lambda sentences: pytest.fail("asked")) == [SceneGraph(" \n")]


@settings(max_examples=30)
@given(st.text(max_size=80), st.text(max_size=40) | st.text(alphabet="(), abdog\ud800İ", max_size=40))
def test_any_text_and_any_output(text: str, output: str) -> None:
    graph = parsed(text, output)
    for entity in graph.entities:
        assert text[slice(*entity.head_span)].strip()
        assert entity.head
    for relation in graph.relations:
        assert relation.subject != relation.object
        assert max(relation.subject, relation.object) < len(graph.entities)


def test_the_package_is_asked_for_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the signature of the package's parser, as its version 0.6.1 has it."""

    class SceneGraphParser:
        def __init__(self, checkpoint_path: str, device: str = "cuda:0", lemmatize: bool = False) -> None:
            assert checkpoint_path == "lizhuang144/flan-t5-base-VG-factual-sg"
            assert not lemmatize

        def parse(
            self,
            descriptions: list[str],
            max_input_len: int = 64,
            max_output_len: int = 128,
            beam_size: int = 5,
            return_text: bool = False,
        ) -> list[str]:
            assert return_text and max_input_len >= 128 and max_output_len >= 256 and beam_size == 5
            return ["( dog , is , red )" for _ in descriptions]

    module = ModuleType("factual_scene_graph.parser.scene_graph_parser")
    vars(module)["SceneGraphParser"] = SceneGraphParser
    for name in ("factual_scene_graph", "factual_scene_graph.parser"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(factual_t5, "installed_version", lambda: "0.6.1")
    factual_t5._generator.cache_clear()
    try:
        assert factual_t5.parse(["a red dog"])[0].facts == (("dog", "is", "red"),)
    finally:
        factual_t5._generator.cache_clear()


def test_gold_graphs_survive_the_way_through_spans(shared_data: Path) -> None:
    """What the adapter itself loses bounds the scores of any model behind it."""
    path = shared_data / "factual_sg" / "random" / "dev.csv"
    rows = read_factual(path)[:300]
    gold = {
        " ".join(row.caption.split()): " , ".join(f"( {' , '.join(fact)} )" for fact in row.facts)
        for row in rows
    }

    def generate(sentences: list[str]) -> Sequence[str]:
        return [gold.get(sentence, "") for sentence in sentences]

    scores = evaluate_parser(rows, lambda texts: graphs_from(texts, generate))
    assert scores.triples.set_match > 94
    assert scores.triples.precision > 99
