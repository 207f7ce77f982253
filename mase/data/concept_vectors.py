"""ConceptNet vectors of words from a user's file, in the layouts that Numberbatch has.

    text (.txt, or .gz)   a word and its numbers a line, apart by spaces; the first line may say how many
                          words and numbers there are. `/c/en/lemon` is `lemon`, and words of other languages
                          are passed over; so are lines of several words (`lemon_tree`).
    npz                   words (n,) and vectors (n, d)

A word that is not there gets zeros, like everything the graph does not know.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mase.data.named_vectors import given_file, read_npz
from mase.errors import DataError

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
ENGLISH, CONCEPT = "/c/en/", "/c/"


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case, in order.

    >>> words_of("What's on the 2 cups?")
    ["what's", 'on', 'the', '2', 'cups']
    """
    return WORD.findall(text.lower())


def read_concepts(name: str, wanted: Iterable[str], width: int) -> dict[str, Float[np.ndarray, "d"]]:
    """Return the vectors of those of the wanted words that the file knows; of a word twice, the first.

    Raises:
        DataError: if the file is missing, not of a known layout, or has vectors of another width or with
            numbers that are not finite.
    """
    path, needed = given_file(name, "conceptbert.vectors"), set(wanted)
    found: dict[str, np.ndarray] = {}
    for place, concept, numbers in _from_npz(path) if path.suffix == ".npz" else _from_text(path):
        word = _word(concept)
        if word not in needed or word in found:
            continue
        vector = _numbers(numbers)
        if vector is None or vector.shape != (width,) or not np.isfinite(vector).all():
            raise DataError(
                f"{path}: {place} ({concept}) has {len(numbers)} numbers; expected {width} finite ones "
                "(conceptbert.vector_width)"
            )
        found[word] = vector
    return found


def _word(concept: str) -> str | None:
    """Return the word that a line is about; None for another language's."""
    if concept.startswith(ENGLISH):
        return concept.removeprefix(ENGLISH)
    return None if concept.startswith(CONCEPT) else concept


def _numbers(numbers: Sequence[str] | np.ndarray) -> np.ndarray | None:
    try:
        return np.asarray(numbers, dtype=np.float32)
    except ValueError:
        return None


def _from_text(path: Path) -> Iterator[tuple[str, str, Sequence[str]]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                concept, *numbers = line.split() or [""]
                if not concept or (number == 1 and len(numbers) == 1):  # "516782 300"
                    continue
                yield f"line {number}", concept, numbers
    except (OSError, EOFError, UnicodeDecodeError) as cause:
        raise DataError(f"{path}: not a text file of words and numbers: {cause}") from cause


def _from_npz(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    words, vectors = read_npz(path, "words", "vectors")
    for number, (word, vector) in enumerate(zip(words, vectors, strict=True), start=1):
        yield f"row {number}", word, vector
