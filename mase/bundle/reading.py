"""What a packed unit reads, as JSON: its rows, and which artifacts hold its graphs and proxies."""

import gzip
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mase.artifacts import home
from mase.data import Rows, TaskData
from mase.errors import ArtifactError
from mase.model.preparation import Tables
from mase.params import Params, validate
from mase.proxies import ProxyTable
from mase.scenegraph import GraphTable
from mase.training import Given
from mase.units import Unit

PARTS = ("train", "slice", "evaluation")
COLUMNS = ("ids", "texts_a", "texts_b", "groups", "references", "strata")


@dataclass(frozen=True)
class PackedUnit(Unit):
    """A unit that is named by what it was where it was packed: here are not all bytes that name it."""

    name: str

    @cached_property
    def digest(self) -> str:
        """Return the unit's name."""
        return self.name


def described(unit: Unit, given: Given) -> bytes:
    """Return a unit and the digests of what it reads."""
    tables = given.tables
    content = {
        "digest": unit.digest,
        "label": unit.label,
        "params": unit.params.model_dump(mode="json"),
        "rows": given.data.digest,
        "sentences": {modality: table.digest for modality, table in tables.sentences.items()},
        "phrases": {modality: table.digest for modality, table in tables.phrases.items()},
        "graphs": None if tables.graphs is None else tables.graphs.digest,
    }
    return json.dumps(content, indent=1).encode()


def read_unit(path: Path, rows: Path) -> tuple[PackedUnit, Given]:
    """Return the unit that `described` wrote, and what it reads, from `$MASE_HOME` and a folder of rows.

    Raises:
        ParamsError: if its params are not what this version knows.
        ArtifactError: if an artifact does not match its manifest.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    params = validate(Params, content["params"], f"{path.name}: params")
    sentences, phrases = (
        {modality: ProxyTable.open(home() / "proxies" / digest) for modality, digest in content[part].items()}
        for part in ("sentences", "phrases")
    )
    graphs = None if content["graphs"] is None else GraphTable.load(home() / "graphs" / content["graphs"])
    data = _read_rows(rows / f"{content['rows']}.json.gz")
    unit = PackedUnit(params=params, label=content["label"], name=content["digest"])
    return unit, Given(data, Tables(sentences, phrases, graphs))


def written_rows(data: TaskData) -> bytes:
    """Return the rows of a task as compressed JSON; equal rows give equal bytes."""
    content = {
        "digest": data.digest,
        "counts": data.counts,
        "source": data.source,
        "parts": {part: _columns(getattr(data, part)) for part in PARTS},
    }
    return gzip.compress(json.dumps(content).encode(), mtime=0)


def _columns(rows: Rows) -> dict[str, Any]:
    columns = {name: getattr(rows, name) for name in COLUMNS}
    labels = {"dtype": str(rows.labels.dtype), "labels": rows.labels.tolist()}
    return {**columns, **labels, "options": rows.options, "digest": rows.digest()}


@lru_cache(maxsize=4)
def _read_rows(path: Path) -> TaskData:
    content = json.loads(gzip.decompress(path.read_bytes()))
    parts: dict[str, Any] = {part: _rows(path, columns) for part, columns in content.pop("parts").items()}
    return TaskData(**content, **parts)


def _rows(path: Path, columns: dict[str, Any]) -> Rows:
    labels = np.array(columns["labels"], dtype=columns["dtype"])
    texts: dict[str, Any] = {n: None if columns[n] is None else tuple(columns[n]) for n in COLUMNS}
    if columns["references"] is not None:
        texts["references"] = tuple(map(tuple, columns["references"]))
    rows = Rows(labels=labels, options=columns["options"], **texts)
    if rows.digest() != columns["digest"]:
        raise ArtifactError(f"{path}: the rows are not those that were packed")
    return rows
