"""What the rules find in sentences whose graphs were written by hand."""

import pytest

from mase.scenegraph import NodeKind, RelationInventory, parse
from mase.scenegraph.mssg import nodes_and_edges

EXPECTED = [
    ("a red and white bus", {("bus", "is", "red"), ("bus", "is", "white")}),
    ("the bus is red and white", {("bus", "is", "red"), ("bus", "is", "white")}),
    ("a black , white and tan dog", {("dog", "is", "black"), ("dog", "is", "white"), ("dog", "is", "tan")}),
    ("a dark blue shirt", {("shirt", "is", "dark blue")}),
    ("two boys riding skateboards", {("boys", "is", "2"), ("boys", "ride", "skateboards")}),
    ("there are two plants", {("plants", "is", "2")}),
    ("there is a lamp on the table", {("lamp", "on", "table")}),
    ("A woman in front of a piano.", {("woman", "in front of", "piano")}),
    ("a cat sitting on top of the car", {("cat", "sit on top of", "car")}),
    ("the lamp is next to the bed", {("lamp", "next to", "bed")}),
    ("bush on the side of the water", {("bush", "on side of", "water")}),
    ("a piano is played by a woman", {("woman", "play", "piano")}),
    ("cliff surrounded by water", {("water", "surround", "cliff")}),
    ("trees covered in snow", {("snow", "cover", "trees")}),
    ("a green pole buried in dirt .", {("pole", "is", "green"), ("pole", "bury in", "dirt")}),
    ("leg of the man", {("man", "have", "leg")}),
    ("hat on the man 's head", {("hat", "on", "head"), ("man", "have", "head")}),
    ("the horse's mane is black", {("horse", "have", "mane"), ("mane", "is", "black")}),
    ("the sky has some clouds", {("sky", "have", "clouds")}),
    ("a large group of birds", {("birds", "is", "large"), ("birds", "is", "group of")}),
    ("a glass of water on the table", {("water", "in", "glass"), ("glass", "on", "table")}),
    ("a brick wall behind the fire hydrant", {("wall", "is", "brick"), ("wall", "behind", "fire hydrant")}),
    ("a cat in between two chairs", {("cat", "between", "chairs"), ("chairs", "is", "2")}),
    ("people outside of the shop", {("people", "outside", "shop")}),
    ("a man being chased by dogs", {("dogs", "chase", "man")}),
    ("the cake was eaten by two girls", {("girls", "is", "2"), ("girls", "eat", "cake")}),
    ("the fence has been painted", {("fence", "is", "painted")}),
    ("John's car is red", {("john", "have", "car"), ("car", "is", "red")}),
    ("a tennis racket near a coffee cup", {("tennis racket", "near", "coffee cup")}),
    ("2 men", {("men", "is", "2")}),
    ("twenty five people", {("people", "is", "25")}),
    ("twenty-five people", {("people", "is", "25")}),
    ("two dozen white eggs", {("eggs", "is", "24"), ("eggs", "is", "white")}),
    ("five of the old men", {("men", "is", "5"), ("men", "is", "old")}),
    ("a couple of dogs", {("dogs", "is", "2")}),
    ("a man without a hat", {("man", "without", "hat")}),
    ("a man is not wearing a hat", {("man", "not wear", "hat")}),
    ("the man doesn't ride a horse", {("man", "not ride", "horse")}),
    ("no people are on the beach", {("people", "is", "no"), ("people", "on", "beach")}),
    ("there is no dog on the couch", {("dog", "is", "no"), ("dog", "on", "couch")}),
    ("there isn't a dog on the couch", {("dog", "is", "no"), ("dog", "on", "couch")}),
    ("there are not any dogs", {("dogs", "is", "no")}),
    ("the man and the woman hold an umbrella", {("man", "hold", "umbrella"), ("woman", "hold", "umbrella")}),
    ("a man wearing a hat and a tie", {("man", "wear", "hat"), ("man", "wear", "tie")}),
    (
        "a man with a hat riding a horse",
        {("man", "with", "hat"), ("man", "ride", "horse")},
    ),
    ("the man who is holding a bat", {("man", "hold", "bat")}),
    ("the sofa the man is sitting on .", {("man", "sit on", "sofa")}),
    ("the dog is running", {("dog", "is", "running")}),
    ("the bus is not red", {("bus", "is", "not red")}),
    ("a dog is not chasing the cat", {("dog", "not chase", "cat")}),
    ("the woman is a pianist", {("woman", "is", "pianist")}),
    ("a bowl with a spoon inside of it", {("bowl", "with", "spoon"), ("spoon", "inside", "bowl")}),
    ("Two dogs chased a cat. The cat climbed a tall tree.",
     {("dogs", "is", "2"), ("dogs", "chase", "cat"), ("cat", "climb", "tree"), ("tree", "is", "tall")}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), EXPECTED, ids=[text for text, _ in EXPECTED])
def test_facts(text: str, facts: set[tuple[str, str, str]]) -> None:
    assert set(parse([text])[0].facts) == facts


@pytest.mark.parametrize("text", ["", " ", "\n\n", "🙂🙂", "...", "He is .", "quickly", "\ud800"])
def test_a_text_without_a_noun_has_no_entity(text: str) -> None:
    graph = parse([text])[0]
    assert graph.text == text
    assert graph.entities == graph.relations == graph.facts == ()


def test_spans_point_at_the_phrase_without_its_determiner() -> None:
    text = "  The  red and\twhite bus\u2019s door"
    graph = parse([text])[0]
    phrases = {entity.head: text[slice(*entity.span)] for entity in graph.entities}
    assert phrases == {"bus": "red and\twhite bus", "door": "door"}
    assert graph.phrase(0) == "red and white bus"
    assert [text[slice(*a.span)] for a in graph.entities[0].described_by] == ["red", "white"]


def test_the_json_object_has_the_documented_form() -> None:
    assert parse(["two men ride a brown horse"])[0].to_json() == {
        "text": "two men ride a brown horse",
        "entities": [
            {"head": "men", "attributes": ["2"], "span": [0, 7]},
            {"head": "horse", "attributes": ["brown"], "span": [15, 26]},
        ],
        "relations": [{"subject": 0, "predicate": "ride", "object": 1}],
        "facts": [["men", "is", "2"], ["horse", "is", "brown"], ["men", "ride", "horse"]],
    }


def test_a_predicate_knows_whether_a_verb_is_part_of_it() -> None:
    graph = parse(["a dog sitting on a mat under a table"])[0]
    assert {(r.predicate, r.verbal) for r in graph.relations} == {("sit on", True), ("under", False)}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a dog and two cats", ["singular", "plural"]),
        ("the people of a town", ["plural", "singular"]),
        ("one sheep and 3 sheep", ["singular", "plural"]),
        ("1 dog", ["singular"]),
        ("children's shoes", ["plural", "plural"]),
        ("a herd of sheep near cattle dogs", ["singular", "plural"]),
        ("a car from 99999999999999999999 dogs", ["singular", "plural"]),
    ],
)
def test_number(text: str, numbers: list[str]) -> None:
    assert [entity.number for entity in parse([text])[0].entities] == numbers


def test_a_verb_is_a_node_and_a_preposition_an_edge() -> None:
    graph = parse(["a boy throws a ball to a dog in front of a red and white bus"])[0]
    inventory = RelationInventory(["in front of"])
    found = nodes_and_edges(graph, inventory, relation_nodes=True)
    assert [p for k, p in zip(found.kinds, found.phrases, strict=True) if k == NodeKind.RELATION] == ["throw"]
    verb = found.phrases.index("throw")
    assert (0, verb, inventory.id_of("agent")) in found.edges
    assert (verb, 1, inventory.id_of("patient")) in found.edges
    assert inventory.predicate_id("in front of") in {type_id for *_, type_id in found.edges}
    flat = nodes_and_edges(graph, inventory, relation_nodes=False)
    assert NodeKind.RELATION not in flat.kinds


def test_the_result_does_not_depend_on_the_batch() -> None:
    texts = [text for text, _ in EXPECTED]
    assert parse(texts) == [parse([text])[0] for text in texts]
    assert parse([]) == []
