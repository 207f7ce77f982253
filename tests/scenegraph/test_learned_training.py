"""A small network learns a small grammar, the same way twice; weights survive the disk."""

import json
from pathlib import Path

import pytest
import torch

from mase.errors import DataError, ScenegraphError
from mase.evaluation.scenegraph import GoldGraph, evaluate_parser, facts_in
from mase.scenegraph.learned import train as command
from mase.scenegraph.learned.network import ParserNetwork, Sizes
from mase.scenegraph.learned.parser import LearnedParser
from mase.scenegraph.learned.training import Example, Recipe, fit, relation_loss
from mase.scenegraph.learned.vocabulary import Vocabulary, count_vocabulary

SMALL = Sizes(words=512, affixes=128, word_width=24, hidden=32, pair=48, dropout=0.1)
RECIPE = Recipe(epochs=25, batch=16, rate=1e-2, average=0.9)


def grammar() -> list[GoldGraph]:
    """Facts that the rules do not find: "by" says who owns, "full" says what is inside."""
    rows = []
    for owner in "man woman boy girl cat".split():
        for thing in "hat bag cup box".split():
            for colour in "red blue green".split():
                rows.append((f"{colour} {thing} by {owner}", f"( {owner} , own , {thing} )"))
                rows.append((f"{owner} holding a {colour} {thing}", f"( {owner} , hold , {thing} )"))
                rows[-2:] = [(c, f"{g} , ( {thing} , is , {colour} )") for c, g in rows[-2:]]
    return [GoldGraph(caption, facts_in(graph)) for caption, graph in rows]


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return command.examples_of(grammar())


@pytest.fixture(scope="module")
def parser(examples: list[Example]) -> LearnedParser:
    vocabulary = count_vocabulary([e.sentence for e in examples], [e.gold for e in examples])
    losses: list[float] = []
    network = fit(
        examples, vocabulary, RECIPE, SMALL, report=lambda _epoch, loss, _network: losses.append(loss)
    )
    assert losses[-1] < losses[0] / 10
    return LearnedParser(network, vocabulary)


def test_the_grammar_is_learned(parser: LearnedParser) -> None:
    assert evaluate_parser(grammar(), parser.parse).triples.set_match > 95
    graph = parser.parse(["Red hat by woman"])[0]
    assert set(graph.facts) == {("hat", "is", "red"), ("woman", "own", "hat")}
    assert [graph.text[slice(*e.span)] for e in graph.entities] == ["Red hat", "woman"]


def test_the_same_seed_gives_the_same_weights(examples: list[Example], parser: LearnedParser) -> None:
    recipe = Recipe(epochs=1, batch=16)
    first, again = (fit(examples[:40], parser.vocabulary, recipe, SMALL).state_dict() for _ in range(2))
    other = fit(examples[:40], parser.vocabulary, Recipe(epochs=1, batch=16, seed=1), SMALL).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_weights_on_disk(parser: LearnedParser, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "parser.safetensors"
    parser.save(path, {"about": "a test"})
    loaded = LearnedParser.load(path)
    texts = [row.caption for row in grammar()[:30]]
    assert loaded.parse(texts) == parser.parse(texts)
    assert loaded.vocabulary == parser.vocabulary
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**manifest, "vocabulary": {}}))
    with pytest.raises(ScenegraphError, match="has no 'entity_names'"):
        LearnedParser.load(path)
    path.with_suffix(".json").write_text(json.dumps({**manifest, "version": 0}))
    with pytest.raises(ScenegraphError, match="train again"):
        LearnedParser.load(path)
    path.write_bytes(b"no tensors")
    path.with_suffix(".json").write_text(json.dumps(manifest))
    with pytest.raises(ScenegraphError, match="not the weights"):
        LearnedParser.load(path)
    with pytest.raises(ScenegraphError, match="no weights of a parser"):
        LearnedParser.load(tmp_path / "none.safetensors")


def test_loss_worked_by_hand() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]))
    truth = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    expected = -torch.log(torch.tensor(3 / 8)) - torch.log(torch.tensor(1 / 2))
    assert relation_loss(logits, truth).item() == pytest.approx(expected.item())


def test_the_command_writes_weights_and_says_what_they_come_from(tmp_path: Path) -> None:
    data, out = tmp_path / "gold.csv", tmp_path / "parser.safetensors"
    row = 'a dog on a mat,"( dog , on , mat )"\n'
    data.write_text("caption,scene_graph\n" + 3 * row, encoding="utf-8")
    command.train(data, out, recipe=Recipe(epochs=1), dev=data, held_out=1)
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["data"][0]["file"] == "gold.csv"
    assert manifest["captions"] == 2
    assert 0 <= manifest["dev"]["f1"] <= 100
    assert manifest["held_out"]["last_rows"] == 1
    assert LearnedParser.load(out).vocabulary.predicates == ("on",)
    data.write_text("caption,scene_graph\na dog,( cat )\n", encoding="utf-8")
    with pytest.raises(DataError, match="no caption to train on"):
        command.train(data, out, recipe=Recipe(epochs=1))


def test_an_untrained_network_still_gives_graphs() -> None:
    parser = LearnedParser(
        ParserNetwork(Sizes(**{**vars(SMALL), "predicates": 2})), Vocabulary(("on", "have"), {}, {})
    )
    graphs = parser.parse(["a man with a red hat on a bus , near it", "", "? ! 🙂"])
    assert [len(g.text) > 0 for g in graphs] == [True, False, True]
