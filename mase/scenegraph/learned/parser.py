"""The learned parser: weights that come with the package, and `parse` with the rules' signature."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mase.artifacts import sha256_file, write_json
from mase.errors import ScenegraphError
from mase.scenegraph.graph import Entity, Relation, SceneGraph
from mase.scenegraph.learned.decoding import Piece, add_to_graph, find
from mase.scenegraph.learned.network import ParserNetwork, Sizes
from mase.scenegraph.learned.reading import Sentence, read_sentences
from mase.scenegraph.learned.vocabulary import Vocabulary
from mase.scenegraph.tagger import Tagger, default_tagger

VERSION = 1
WEIGHTS = Path(__file__).parent / "weights" / "parser.safetensors"
BATCH = 512
TOKENS = 2048
"""Tokens that go through the network at once; bounds the memory whatever the texts are."""
_AGAIN = "train again: python -m mase.scenegraph.learned.train --help"


class LearnedParser:
    """Parse texts with a trained network.

    Args:
        network: in evaluation mode.
        vocabulary: what it was trained to choose from.
        tagger: None for the one that comes with the package.
    """

    def __init__(
        self, network: ParserNetwork, vocabulary: Vocabulary, *, tagger: Tagger | None = None
    ) -> None:
        self.network = network.eval()
        self.vocabulary = vocabulary
        self._tagger = tagger

    def parse(self, texts: Sequence[str]) -> list[SceneGraph]:
        """Return the scene graph of each text, in order; any text is accepted.

        Sentences are read one by one and cut after `reading.LONGEST` tokens, so the time
        is linear in the length of the texts.
        """
        return [g for i in range(0, len(texts), BATCH) for g in self._parse(texts[i : i + BATCH])]

    def _parse(self, texts: Sequence[str]) -> Iterator[SceneGraph]:
        read = read_sentences(texts, self._tagger or default_tagger())
        sentences = [sentence for parts in read for sentence in parts]
        pieces = iter(self.find(sentences))
        for text, parts in zip(texts, read, strict=True):
            entities: list[Entity] = []
            relations: list[Relation] = []
            for sentence in parts:
                add_to_graph(sentence, next(pieces), self.vocabulary, entities, relations)
            yield SceneGraph(text, tuple(entities), tuple(relations))

    def find(self, sentences: Sequence[Sentence]) -> list[Piece]:
        """Return what is found in each sentence; sentences of one length go through the network together."""
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for place, sentence in enumerate(sentences):
            by_length[len(sentence)].append(place)
        found: dict[int, Piece] = {}
        for length, places in by_length.items():
            size = max(TOKENS // length, 1)
            for start in range(0, len(places), size):
                some = places[start : start + size]
                pieces = find(self.network, self.vocabulary, [sentences[i] for i in some])
                found.update(zip(some, pieces, strict=True))
        return [found[place] for place in range(len(sentences))]

    def save(self, path: Path, about: dict[str, object]) -> None:
        """Write the weights as fp16, and a manifest beside them with `about`, sizes and vocabulary."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = self.network.state_dict()
        save_file({name: value.half().contiguous() for name, value in state.items()}, path)
        manifest = {
            **about,
            "sha256": sha256_file(path),
            "sizes": asdict(self.network.sizes),
            "version": VERSION,
            "vocabulary": self.vocabulary.to_json(),
        }
        write_json(path.with_suffix(".json"), manifest)
        for written in (path, path.with_suffix(".json")):
            written.chmod(0o644)

    @classmethod
    def load(cls, path: Path) -> "LearnedParser":
        """Read what `save` wrote.

        Raises:
            ScenegraphError: if a file is missing, damaged, or of another version.
        """
        try:
            manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            if manifest["version"] != VERSION or manifest["sha256"] != sha256_file(path):
                raise ScenegraphError(f"{path}: not the weights that its manifest describes; {_AGAIN}")
            network = ParserNetwork(Sizes(**manifest["sizes"]))
            network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as cause:
            raise ScenegraphError(f"{path}: no weights of a parser ({cause}); {_AGAIN}") from cause
        return cls(network, Vocabulary.from_json(manifest["vocabulary"]))


@lru_cache(maxsize=1)
def default_parser() -> LearnedParser:
    """Return the parser that comes with the package, loaded once per process.

    Raises:
        ScenegraphError: if its weights are missing or damaged.
    """
    return LearnedParser.load(WEIGHTS)


def parse(texts: Sequence[str]) -> list[SceneGraph]:
    """Return the scene graph of each text with the parser that comes with the package."""
    return default_parser().parse(texts)
