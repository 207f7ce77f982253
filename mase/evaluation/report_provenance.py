"""Where the numbers of a report come from: units and their digests, seeds, cost, code, libraries."""

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mase.artifacts import digest_of
from mase.evaluation.evidence import Load
from mase.evaluation.plan import Cell
from mase.evaluation.tables import Table
from mase.units import UnitResult, load_result

PACKAGES = (
    *("torch", "transformers", "numpy", "scikit-learn", "scipy", "nltk", "torch-geometric"),
    *("open-clip-torch", "mlflow", "prefect"),
)
SHORT = 8  # characters of a digest where it is one of many


@dataclass(frozen=True)
class UnitLine:
    """The units of one cell: their seeds, and the digests that name their folders."""

    row: str
    column: str
    seeds: str
    digests: str


def unit_lines(table: Table) -> list[UnitLine]:
    """Return the units behind each cell of a table, in its order; those of a task's columns once."""
    frame = table.frame.drop_duplicates(["row", "column", "seed"])
    lines: dict[tuple[str, str], UnitLine] = {}
    for row in table.declaration.rows:
        for column in table.columns:
            mine = frame[(frame["row"] == row.label) & (frame["column"] == column)].sort_values("seed")
            if len(mine):
                seeds = ", ".join(map(str, mine["seed"]))
                digests = ", ".join(_short(digest) for digest in mine["digest"])
                lines.setdefault(
                    (row.label, digests), UnitLine(row.label, table.title(column), seeds, digests)
                )
    return list(lines.values())


def _short(digest: str) -> str:
    """Return the beginning of a unit's digest, or of each of several folds'."""
    return "+".join(part[:SHORT] for part in digest.split("+"))


def unit_facts(cells: Sequence[Cell], load: Load = load_result) -> dict[str, str]:
    """Return what the finished units of cells were trained with, and what they cost."""
    found = {unit.digest: result for unit, result in _finished(cells, load)}
    details = [result.details for result in found.values()]
    if not details:
        return {}
    versions = Counter(", ".join(f"{k} {v}" for k, v in d["versions"].items()) for d in details)
    trained = "; ".join(f"{text} ({count} units)" for text, count in versions.items())
    data = sorted({f"{d['task']} {d['data_digest']}" for d in details})
    precision = sorted({str(d.get("precision", "fp32")) for d in details})
    return {
        "Trained with": f"{trained}; precision {', '.join(precision)}",
        "Data digests": ", ".join(data),
        "Cost": _cost([*found.values()]),
    }


def _finished(cells: Sequence[Cell], load: Load) -> Iterator[tuple[Any, UnitResult]]:
    for cell in cells:
        for unit in cell.units:
            if (result := load(unit)) is not None:
                yield unit, result


def _cost(results: Sequence[UnitResult]) -> str:
    seconds = [result.seconds for result in results]
    peak = max(float(result.details.get("peak_bytes", 0)) for result in results)
    text = f"{duration(sum(seconds))} in all, {duration(max(seconds))} the longest of {len(seconds)} units"
    return f"{text}; peak memory {peak / 2**30:.1f} GiB" if peak else text


def duration(seconds: float) -> str:
    """Return a time to read: "48 s", "12 min", "3.4 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def commit() -> str:
    """Return the commit of the code, "-dirty" where files differ; "not a git checkout" otherwise."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "git is not available"
    return found.stdout.strip() if found.returncode == 0 else "not a git checkout"


def version_of(package: str) -> str:
    """Return the version of an installed package, or that it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def provenance(tables: Sequence[Table]) -> dict[str, str]:
    """Return what made the numbers and the page: units, seeds, time, code, libraries, machine."""
    seconds = {digest: t for table in tables for digest, t in table.seconds.items()}
    seeds = sorted({seed for table in tables for seed in table.frame["seed"]})
    versions = ", ".join(f"{package} {version_of(package)}" for package in PACKAGES)
    return {
        "Units": f"{len(seconds)}, digest over all of them {digest_of(sorted(seconds))}",
        "Seeds": ", ".join(map(str, seeds)) or "none",
        "Training time": f"{duration(sum(seconds.values()))} in all",
        "Code of this page": f"mase {version_of('mase')}, commit {commit()}",
        "Libraries": f"Python {platform.python_version()}, {versions}",
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
