"""FACTUAL's fine-tuned T5 as a parser: its facts, written as text, become entities and relations with spans.

The package FactualSceneGraph is needed only here, and fetches its checkpoint at first use.
A fact names strings and not places, so each is looked for in its sentence (`learned.alignment`).
What the model names without a word for it in the sentence has no span and is left out.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module

from mase.scenegraph.factual_package import CHECKPOINT, installed_version
from mase.scenegraph.graph import Entity, Relation, SceneGraph
from mase.scenegraph.learned.alignment import Alignment, align
from mase.scenegraph.learned.decoding import Piece, add_to_graph
from mase.scenegraph.learned.reading import Sentence, read_sentences
from mase.scenegraph.learned.spans import spans_of_alignment
from mase.scenegraph.learned.vocabulary import Vocabulary
from mase.scenegraph.tagger import default_tagger

BEAMS = 5
LONGEST_INPUT = 128
"""Word pieces; a sentence has at most `learned.reading.LONGEST` words."""
LONGEST_OUTPUT = 256

Generate = Callable[[list[str]], Sequence[str]]
"""Sentences to graphs as text, `( dog , is , red ) , ( dog , on , mat )`."""

_BETWEEN = re.compile(r"\)\s*,\s*\(")


def parse(texts: Sequence[str]) -> list[SceneGraph]:
    """Return the scene graph of each text, in order; any text is accepted, long ones by sentence.

    Raises:
        ScenegraphError: if the package FactualSceneGraph is not installed.
    """
    return graphs_from(texts, _generator())


def graphs_from(texts: Sequence[str], generate: Generate) -> list[SceneGraph]:
    """Return the scene graph of each text from what `generate` writes for its sentences."""
    read = read_sentences(texts, default_tagger())
    sentences = [
        _written(text, sentence) for text, parts in zip(texts, read, strict=True) for sentence in parts
    ]
    unique = list(dict.fromkeys(sentences))
    graph_of = dict(zip(unique, generate(unique), strict=True)) if unique else {}
    graphs: list[SceneGraph] = []
    for text, parts in zip(texts, read, strict=True):
        entities: list[Entity] = []
        relations: list[Relation] = []
        for sentence in parts:
            found = align(sentence.words, facts_in_output(graph_of[_written(text, sentence)]))
            add_to_graph(sentence, _piece(found), _names(sentence, found), entities, relations)
        graphs.append(SceneGraph(text, tuple(entities), tuple(dict.fromkeys(relations))))
    return graphs


def facts_in_output(text: str) -> list[tuple[str, ...]]:
    """Read the facts of a graph that a model wrote, in lower case: triples, and bare entities as 1-tuples.

    What is not of this form (a model may write anything, and stop anywhere) is left out.
    """
    pieces = (piece.strip().strip("()").split(",") for piece in _BETWEEN.split(text.lower()))
    facts = (tuple(" ".join(part.split()) for part in piece) for piece in pieces)
    return sorted({fact for fact in facts if len(fact) in (1, 3) and all(fact)})


def _written(text: str, sentence: Sentence) -> str:
    """Return the sentence as it stands in the text, white space made single."""
    return " ".join(text[sentence.tokens[0][0] : sentence.tokens[-1][1]].split())


def _piece(found: Alignment) -> Piece:
    spans = spans_of_alignment(found)
    entity = {span: place for place, span in enumerate(spans.entities)}
    attribute = {span: place for place, span in enumerate(spans.attributes)}
    return Piece(
        spans,
        [(attribute[value], entity[owner]) for value, owner in sorted(found.described)],
        [
            (entity[subject], predicate, entity[target], run)
            for (subject, target, predicate), run in sorted(found.relations.items())
        ],
    )


def _names(sentence: Sentence, found: Alignment) -> Vocabulary:
    """Return what the facts call the phrases of this sentence."""
    entities, attributes = (
        {" ".join(sentence.words[start:end]): name for (start, end), name in ranges.items()}
        for ranges in (found.entities, found.attributes)
    )
    return Vocabulary((), entities, attributes)


@lru_cache(maxsize=1)
def _generator() -> Generate:
    """Load FACTUAL's model, on the first accelerator if there is one."""
    installed_version()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = import_module("factual_scene_graph.parser.scene_graph_parser")
    model = module.SceneGraphParser(CHECKPOINT, device=device)

    def generate(sentences: list[str]) -> Sequence[str]:
        return model.parse(
            sentences,
            beam_size=BEAMS,
            return_text=True,
            max_input_len=LONGEST_INPUT,
            max_output_len=LONGEST_OUTPUT,
        )

    return generate
