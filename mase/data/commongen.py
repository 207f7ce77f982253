"""CommonGen's official files (Lin et al. 2020): concepts, and sentences that use them.

    commongen.train.src_alpha.txt   the concepts of a line in plain words; its target is the same line of
    commongen.train.tgt.txt         beside it, one sentence; a set of several sentences is repeated
    commongen.dev.jsonl             `concept_set` "field_N#look_V#stand_V" and `scene`, the list of sentences

Either gives the columns of the data set's copy on the hub: `concepts`, a list of words, and `target`, a
sentence or a list of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mase.data.decoding import REFETCH, decode, malformed
from mase.data.records import Fields, Record
from mase.data.structured import read_jsonl
from mase.errors import DataError

SOURCE, TARGET = "src_alpha", "tgt"
TAG = "_"
BETWEEN = "#"


def read_commongen(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield the concept sets of a `.jsonl` file, or the lines of a `src_alpha` file with their targets.

    Raises:
        DataError: if a file is missing, empty or of another form, or the two have not as many lines.
    """
    if path.suffix == ".jsonl":
        return _concept_sets(path, wanted)
    return _parallel_lines(path)


def plain(concept: str) -> str:
    """Return a concept without its part of speech.

    >>> plain("stand_V"), plain("hot_dog_N"), plain("stand")
    ('stand', 'hot_dog', 'stand')
    """
    word, tag, kind = concept.rpartition(TAG)
    return word if tag and word and kind.isupper() and len(kind) == 1 else concept


def _concept_sets(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    for line, found in read_jsonl(path, wanted):
        concepts = found.get("concept_set")
        if not isinstance(concepts, str) or not concepts.strip(BETWEEN):
            what = f"no concept_set; there is {', '.join(map(repr, found)) or 'nothing'}"
            raise malformed(path, line, what, "this is no file of concept sets; " + REFETCH)
        fields: Fields = {"concepts": [plain(concept) for concept in concepts.split(BETWEEN)]}
        yield line, {**fields, "target": found["scene"]} if "scene" in found else fields


def _parallel_lines(path: Path) -> Iterator[Record]:
    if SOURCE not in path.name:
        raise DataError(
            f"{path}: a training file of CommonGen has {SOURCE!r} in its name, and its targets are in the "
            f"file with {TARGET!r} instead; set format for files of your own"
        )
    beside = path.with_name(path.name.replace(SOURCE, TARGET))
    if not beside.is_file():
        raise DataError(f"{path}: the sentences, {beside.name}, are not beside it; {REFETCH}")
    concepts, targets = (decode(each).removesuffix("\n").split("\n") for each in (path, beside))
    if len(concepts) != len(targets):
        raise DataError(
            f"{path}: {len(concepts)} lines, but {beside.name} has {len(targets)}; line n of the one belongs "
            f"to line n of the other; {REFETCH}"
        )
    if concepts == [""]:
        raise malformed(path, 1, "the file is empty; expected a line of concepts for each sentence", REFETCH)
    for line, (words, target) in enumerate(zip(concepts, targets, strict=True), start=1):
        yield line, {"concepts": [plain(word) for word in words.split()], "target": target}
