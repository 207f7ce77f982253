"""A table of vectors in a tower's place: what a real encoder gave to object names (the upper bound).

A folder holds pairs of files `NAME.npy`, (names, width), and `NAME.names.txt`, one name a line. No encoder
is there, so a text gets the vector of the longest known name inside it, and zeros where there is none.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mase.data.named_vectors import LISTING, read_npy
from mase.data.nouns import singular, words
from mase.errors import CheckpointFormatError, DataError, MissingWeightsError
from mase.params import TowerParams

TABLE = ".npy"
SENSE = re.compile(r"\(.*?\)")  # LVIS writes "mouse (computer equipment)"

Key = tuple[str, ...]


def key_of(text: str) -> Key:
    """Return a text's words in lower case, each in the singular."""
    return tuple(map(singular, words(text.replace("_", " "))))


class VectorTable:
    """Vectors by name; see the module's docstring. It has the interface of `mase.proxies.Tower`.

    A name is read without a sense in brackets. Of two spellings of one name, in one file or two, the
    first counts, files in alphabetical order. Of equally long names in a text the last one counts,
    since English puts the head noun last.

    Raises:
        MissingWeightsError: if the folder holds no pair of files.
        CheckpointFormatError: if a pair's files do not fit each other, or the params.
    """

    def __init__(self, params: TowerParams, folder: Path) -> None:
        self.name, self.modality, self.width = params.name, str(params.modality), params.output_width
        listings = sorted(folder.glob(f"*{LISTING}"))
        if not listings:
            raise MissingWeightsError(
                f"tower {params.name}: {folder} holds no NAME{LISTING} with a NAME{TABLE} beside it"
            )
        digest = hashlib.sha256()
        self.vectors: dict[Key, np.ndarray] = {}
        for listing in listings:
            table = listing.with_name(listing.name.removesuffix(LISTING) + TABLE)
            names, rows = _pair(table, self.width)
            digest.update(rows.tobytes() + "\n".join(names).encode())
            for name, row in zip(names, rows, strict=True):
                self.vectors.setdefault(key_of(SENSE.sub(" ", name)), row)
        self.vectors.pop((), None)
        self.digest = digest.hexdigest()[:20]
        self.longest = max(map(len, self.vectors), default=0)

    def known(self, text: str) -> Key | None:
        """Return the name whose vector a text gets; None where it holds no known name."""
        found = key_of(text)
        for length in range(min(self.longest, len(found)), 0, -1):
            for start in range(len(found) - length, -1, -1):
                if found[start : start + length] in self.vectors:
                    return found[start : start + length]
        return None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector per text, (texts, width) float32, not normalised."""
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for place, text in enumerate(texts):
            if (key := self.known(text)) is not None:
                found[place] = self.vectors[key]
        return found


def _pair(table: Path, width: int) -> tuple[list[str], np.ndarray]:
    try:
        names, rows = read_npy(table)
    except DataError as cause:
        raise CheckpointFormatError(f"no readable table of vectors: {cause}") from cause
    if rows.shape[1] != width:
        raise CheckpointFormatError(f"{table} has {rows.shape[1]} numbers a name, not {width} (output_width)")
    return names, rows.astype(np.float32)
