"""Gold graphs in FACTUAL's form: `( man , wear , hat ) , ( hat , is , red )`, one caption a row."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from mase.errors import DataError
from mase.scenegraph.graph import SceneGraph

Facts = frozenset[tuple[str, ...]]

COLUMNS = ("caption", "scene_graph")
_BETWEEN = re.compile(r"\)\s*,\s*\(")


@dataclass(frozen=True)
class GoldGraph:
    """A caption and the facts that an annotator found in it."""

    caption: str
    facts: Facts


def facts_in(text: str) -> Facts:
    """Read a graph's text into its facts: triples, and bare entities as 1-tuples.

    White space is made single and duplicates count once; upper and lower case differ.
    Commas inside a fact beyond the first and the last belong to the predicate, and are
    replaced by a space.

    Raises:
        DataError: if a fact is empty, has two parts, or the parentheses are missing.
    """
    stripped = text.strip()
    if not (stripped.startswith("(") and stripped.endswith(")")):
        raise DataError(f"{text!r}: a graph looks like ( man , wear , hat ) , ( hat , is , red )")
    return frozenset(_fact(piece) for piece in _BETWEEN.split(stripped[1:-1]))


def _fact(piece: str) -> tuple[str, ...]:
    parts = [" ".join(part.split()) for part in piece.split(",")]
    if not all(parts) or len(parts) == 2:
        raise DataError(f"({piece}): a fact is ( entity ) or ( subject , predicate , object )")
    return tuple(parts) if len(parts) == 1 else (parts[0], " ".join(parts[1:-1]), parts[-1])


def facts_of(graph: SceneGraph) -> Facts:
    """Return a parsed graph's facts as the gold graphs write them.

    FACTUAL names a bare entity only where a caption has no triple at all, so the
    entities of a graph without triples are its facts.
    """
    return frozenset(graph.facts) or frozenset((entity.head,) for entity in graph.entities)


def read_factual(path: Path) -> list[GoldGraph]:
    """Read captions and gold graphs from a CSV file with the columns `caption` and `scene_graph`.

    Raises:
        DataError: if the file is missing or not UTF-8, a column is missing, there is no row,
            or a graph cannot be read; with the file, the line and the reason.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _rows(path, csv.DictReader(stream, strict=True))
    except OSError as cause:
        raise DataError(f"{path}: {cause.strerror}; expected a CSV file such as FACTUAL's dev.csv") from cause
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: not UTF-8; convert it first, as with iconv") from cause


def _rows(path: Path, reader: "csv.DictReader[str]") -> list[GoldGraph]:
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; found {', '.join(reader.fieldnames or ())}")
    rows: list[GoldGraph] = []
    try:
        for row in reader:
            if row["caption"] is None or row["scene_graph"] is None:
                raise DataError("too few columns")
            rows.append(GoldGraph(row["caption"], facts_in(row["scene_graph"])))
    except csv.Error as cause:
        raise DataError(f"{path}, after line {reader.line_num}: {cause}") from cause
    except DataError as cause:
        raise DataError(f"{path}, line {reader.line_num}: {cause}") from cause
    if not rows:
        raise DataError(f"{path}: no row after the header")
    return rows
