"""Gold facts find the words that they speak of; spans and tags are two codings of one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.evaluation.scenegraph import facts_in
from mase.scenegraph.learned.alignment import Alignment, align, occurrences, predicate_runs
from mase.scenegraph.learned.reading import LONGEST, read_sentences
from mase.scenegraph.learned.spans import TAGS, Spans, spans_of, tags_of
from mase.scenegraph.learned.vocabulary import Vocabulary, copied_predicate, count_vocabulary
from mase.scenegraph.tagger import default_tagger


def aligned(caption: str, graph: str) -> Alignment:
    return align(caption.split(), sorted(facts_in(graph)))


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("a tree trunk by a tree", "tree trunk", [(1, 3)]),
        ("a tree trunk by a tree", "tree", [(1, 2), (5, 6)]),
        ("two dogs", "2", [(0, 1)]),
        ("a cell phone", "cellphone", [(1, 3)]),
        ("a t-shirt", "t shirt", [(1, 2)]),
        ("a wood box", "wooden", [(1, 2)]),
        ("old shelves", "shelf", [(1, 2)]),
        ("a guy", "person", [(1, 2)]),
        ("a dog", "cat", []),
    ],
)
def test_occurrences(words: str, text: str, found: list[tuple[int, int]]) -> None:
    assert occurrences(words.split(), text) == found


@pytest.mark.parametrize(
    ("words", "predicate", "runs"),
    [
        ("a man is sitting on a chair", "sit on", [(3, 4)]),
        ("lamp on the right side of it", "on side of", [(1, 4, 5)]),
        ("lamp on the very far right side", "on side", []),
        ("on a on b", "on", [(0,), (2,)]),
        ("a dog", "have", []),
    ],
)
def test_predicate_runs(words: str, predicate: str, runs: list[tuple[int, ...]]) -> None:
    assert predicate_runs(words.split(), predicate) == runs


def test_a_caption_worked_by_hand() -> None:
    found = aligned(
        "two red dogs of a man", "( dogs , is , 2 ) , ( dogs , is , red ) , ( man , have , dogs )"
    )
    assert found.entities == {(2, 3): "dogs", (5, 6): "man"}
    assert found.attributes == {(0, 1): "2", (1, 2): "red"}
    assert found.described == {((0, 1), (2, 3)), ((1, 2), (2, 3))}
    assert found.relations == {((5, 6), (2, 3), "have"): ()}
    assert not found.runs and not found.lost


def test_the_nearest_of_equal_words_is_taken() -> None:
    found = aligned("a red cup and a blue cup on it", "( cup , is , blue ) , ( cup , is , red )")
    assert found.described == {((1, 2), (2, 3)), ((5, 6), (6, 7))}


def test_facts_without_words_are_lost() -> None:
    found = aligned("a dog", "( dog , is , red ) , ( dog , on , mat ) , ( cat )")
    assert sorted(found.lost) == [("cat",), ("dog", "is", "red"), ("dog", "on", "mat")]
    assert not found.entities


@given(st.lists(st.sampled_from(range(len(TAGS))), max_size=30))
def test_any_tags_are_spans_inside_the_sentence(tags: list[int]) -> None:
    spans = spans_of(tags)
    covered = [i for start, end in (*spans.entities, *spans.attributes) for i in range(start, end)]
    covered += [i for run in spans.runs for i in run]
    assert sorted(covered) == [i for i, tag in enumerate(tags) if tag]
    assert spans_of(tags_of(spans, len(tags))) == spans


def test_gaps_in_runs() -> None:
    spans = Spans(((0, 1), (6, 7)), (), ((1, 4, 5),))
    assert spans_of(tags_of(spans, 7)) == spans
    assert spans_of([5, 0, 0, 0, 6]).runs == ((0,), (4,))


def test_names_and_predicates_are_counted() -> None:
    texts = ["a cell phone on a mat", "the cell phone lying on mats", "a cell phone of a guy"]
    sentences = [parts[0] for parts in read_sentences(texts, default_tagger())]
    graphs = ["( cellphone , on , mat )", "( cellphone , lie on , mats )", "( person , have , cellphone )"]
    gold = [align(s.words, sorted(facts_in(g))) for s, g in zip(sentences, graphs, strict=True)]
    vocabulary = count_vocabulary(sentences, gold, predicates=2)
    assert vocabulary.predicates == ("have", "lie on")
    assert vocabulary.entity_names == {"cell phone": "cellphone"}
    assert vocabulary.entity(["cell", "phone"]) == "cellphone"
    assert vocabulary.attribute(["three"]) == "3"
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    (run,) = gold[1].runs
    assert copied_predicate(sentences[1], run) == "lie on"


def test_long_sentences_are_cut() -> None:
    (pieces,) = read_sentences(["dog " * (2 * LONGEST + 5)], default_tagger())
    assert [len(piece) for piece in pieces] == [LONGEST, LONGEST, 5]
