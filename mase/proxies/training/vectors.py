"""Read what is known of object names: CLIP's vectors, probe sets, and WordNet's synset numbers."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mase.errors import DataError
from mase.proxies.training.corpora import SOURCES, existing, records, tidy

PROBE_FILES = {  # objects whose colour, shape or material is asked for, and the key of the object
    "vicomte/db/color": "sub",
    "vicomte/db/shape": "sub",
    "vicomte/db/material": "sub",
    "object_shape": "sub",
    "memory_color": "item",
}
PROBE_TABLE = "color_terms/color-concrete-objects.csv"


@dataclass(frozen=True)
class ObjectNames:
    """Object names, sorted, and the vector that CLIP gives each.

    Attributes:
        names: lower case, without a sense in brackets; unique.
        vectors: (names, 512) float32 of unit length.
    """

    names: tuple[str, ...]
    vectors: np.ndarray


def object_names(data_dir: Path) -> ObjectNames:
    """Return the names with CLIP vectors; of two spellings of a name the first is kept.

    Raises:
        DataError: if a file is missing, or names and vectors do not match.
    """
    vectors: dict[str, np.ndarray] = {}
    files = SOURCES["clip"].files
    for listing, table in zip(files[::2], files[1::2], strict=True):
        names = existing(data_dir, listing).read_text(encoding="utf-8").splitlines()
        rows = np.load(existing(data_dir, table), allow_pickle=False).astype(np.float32)
        if rows.ndim != 2 or len(rows) != len(names):
            raise DataError(f"{listing} has {len(names)} names but {table} has shape {rows.shape}")
        for name, row in zip(names, rows, strict=True):
            plain = tidy(re.sub(r"\(.*?\)", " ", name.replace("_", " "))).lower()
            vectors.setdefault(plain, row / np.linalg.norm(row))
    ordered = tuple(sorted(vectors))
    return ObjectNames(ordered, np.stack([vectors[name] for name in ordered]))


def probe_names(data_dir: Path) -> frozenset[str]:
    """Return the objects of the colour, shape and material probes, in lower case.

    They are ViComTe's, ObjectShape's, Memory Colors' and ColorTerm's.

    Raises:
        DataError: if a file is missing or malformed.
    """
    found: set[str] = set()
    for folder, key in PROBE_FILES.items():
        for path in sorted(existing(data_dir, folder).rglob("*.jsonl")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    found.add(tidy(json.loads(line)[key]).lower())
                except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as cause:
                    raise DataError(f"{path}, line {number}: no object under {key!r}: {cause!r}") from cause
    table = existing(data_dir, PROBE_TABLE)
    return frozenset(found | {record["object"].lower() for record in records(table, ("object",))})


def synsets(data_dir: Path) -> dict[str, tuple[int, ...]]:
    """Return the WordNet synset numbers of every entry, spaces for underscores.

    The file has two lines per entry: the entry, and its numbers.

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, *SOURCES["wordnet"].files)
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return {
            entry.replace("_", " "): tuple(map(int, numbers.split()))
            for entry, numbers in zip(lines[::2], lines[1::2], strict=True)
        }
    except ValueError as cause:
        raise DataError(f"{path}: expected an entry and its synset numbers by turns: {cause}") from cause
