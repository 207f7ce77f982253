"""Any text parses: no exception, exact spans, valid indices, linear time, the same everywhere."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.scenegraph import SceneGraph, coverage, parse, parse_function
from mase.scenegraph import relations as relations_module
from mase.scenegraph.chunks import Chunk

WORDS = st.sampled_from(
    "a the red two dog dogs 's of with and , . not is are was sitting covered by on in front next to top 🙂 "
    "five dozen twenty twenty-five 2 there who that which while it them has can very "
    "' ( ) - horse riding man woman no one group \"".split()
) | st.sampled_from("\n ")


def check(graph: SceneGraph) -> None:
    """Assert what must hold for every graph."""
    text = graph.text
    for entity in graph.entities:
        start, end = entity.span
        assert 0 <= start <= entity.head_span[0] < entity.head_span[1] == end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert " ".join(text[slice(*entity.head_span)].split())
        assert len(set(entity.attributes)) == len(entity.attributes)
        for attribute in entity.described_by:
            assert 0 <= attribute.span[0] < attribute.span[1] <= len(text)
            assert attribute.value
    for relation in graph.relations:
        assert 0 <= relation.subject < len(graph.entities)
        assert 0 <= relation.object < len(graph.entities)
        assert relation.subject != relation.object
        assert relation.predicate.strip()
        assert 0 <= relation.span[0] < relation.span[1] <= len(text)
    assert json.loads(json.dumps(graph.to_json())) == graph.to_json()


@given(st.text(max_size=300))
def test_arbitrary_unicode(text: str) -> None:
    check(parse([text])[0])


@given(st.text(alphabet=st.characters(), max_size=60))
def test_lone_surrogates(text: str) -> None:
    check(parse([text])[0])


@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_arbitrary_orders_of_words_that_the_rules_know(text: str) -> None:
    check(parse([text])[0])


@pytest.mark.parametrize(
    "piece",
    [
        "a dog and ",
        "red , ",
        "of ",
        "dog ",
        "a man holding a cat and a dog ",
        "('",
        ". ",
        "a",
        "on it with ",
        "is ",
    ],
)
def test_ten_thousand_characters(piece: str) -> None:
    graph = parse([piece * (10_000 // len(piece))])[0]
    check(graph)
    assert len(graph.relations) <= 10_000


def test_work_grows_linearly_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"chunks": 0}
    read = relations_module.Reader.read

    def counting(self: relations_module.Reader, chunks: list[Chunk]) -> None:
        calls["chunks"] += sum(chunk.end - chunk.start for chunk in chunks)
        read(self, chunks)

    monkeypatch.setattr(relations_module.Reader, "read", counting)
    sentence = "a man and a woman and a dog and a cat hold the red and white kites and the old bags with "
    sizes = []
    for repetitions in (20, 40):
        graph = parse([sentence * repetitions])[0]
        sizes.append((calls["chunks"], len(graph.entities), len(graph.relations)))
        calls["chunks"] = 0
    assert np.array(sizes[1]) == pytest.approx(2 * np.array(sizes[0]), rel=0.15)


def seconds(parser: str, text: str) -> float:
    """Return the least processor time of three readings of a text."""
    function, times = parse_function(parser), []
    function([text[:100]])
    for _ in range(3):
        started = time.process_time()
        function([text])
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize("parser", ["rules", "learned"])
@pytest.mark.parametrize(
    "piece",
    [
        "A man and a woman hold the red and white kites. Two old dogs sit in front of it. ",
        "a man and a woman and a dog and a cat hold the red and white kites and the old bags with ",
        "five of the ",
    ],
    ids=["sentences", "one sentence", "partitives"],
)
def test_time_grows_linearly_with_the_length(parser: str, piece: str) -> None:
    size = 8_000 // len(piece)
    assert seconds(parser, piece * (4 * size)) < 7 * seconds(parser, piece * size)


def test_the_same_graphs_in_another_process() -> None:
    texts = ["two dogs chase a red ball", "A man's hat is on the table, next to \u201cthe\u201d bag.", "🙂"]
    code = (
        "import json, sys; from mase.scenegraph import parse; sys.stdout.write("
        "json.dumps([g.to_json() for g in parse(json.loads(sys.argv[1]))]))"
    )
    root = str(Path(__file__).resolve().parents[2])
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}
    command = [sys.executable, "-c", code, json.dumps(texts)]
    output = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout
    assert json.loads(output) == [g.to_json() for g in parse(texts)]


def test_real_texts_have_sane_coverage(shared_data: Path) -> None:
    glue = shared_data / "glue"
    mrpc = [
        line.split("\t")[3]
        for line in (glue / "MRPC" / "train.tsv").read_text("utf-8-sig").splitlines()[1:301]
    ]
    sst = [
        line.split("\t")[0]
        for line in (glue / "SST-2" / "train.tsv").read_text("utf-8-sig").splitlines()[1:301]
    ]
    news, reviews = coverage(parse(mrpc)), coverage(parse(sst))
    assert news.without_entity < 0.02
    assert 3 < news.entities < 9
    assert news.relations > 1.5
    assert reviews.without_entity < 0.25
    assert reviews.entities > 1
    assert news.predicates[0][1] >= news.predicates[-1][1] > 0
    for graph in parse(mrpc[:50]):
        check(graph)


def test_captions_are_read_well(shared_data: Path) -> None:
    with (shared_data / "factual_sg" / "random" / "train.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[-1000:]
    found = [set(g.facts) for g in parse([row["caption"] for row in rows])]
    gold = [
        {
            tuple(part.strip() for part in fact.split(" , "))
            for fact in re.findall(r"\(\s*(.*?)\s*\)(?=\s*,|\s*$)", g)
        }
        for g in (row["scene_graph"] for row in rows)
    ]
    assert sum(f == g for f, g in zip(found, gold, strict=True)) / len(gold) > 0.5
    assert 2 * sum(len(f & g) for f, g in zip(found, gold, strict=True)) > 0.6 * sum(map(len, found + gold))


def test_coverage_counts() -> None:
    summary = coverage(parse(["a red dog on a mat", "a dog on a bed", "", "two cats"]))
    assert (summary.texts, summary.without_entity) == (4, 0.25)
    assert (summary.entities, summary.attributes, summary.relations) == (5 / 4, 2 / 4, 2 / 4)
    assert summary.predicates == (("on", 2),)
    assert coverage([]).texts == 0
