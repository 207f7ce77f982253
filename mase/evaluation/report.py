"""One self-contained HTML file: headline, tables, figures, and where every number comes from."""

import base64
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mase.artifacts import digest_of, home, write_atomically
from mase.evaluation.headline import headline
from mase.evaluation.render import to_html
from mase.evaluation.tables import Table

PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "scikit-learn",
    "scipy",
    "nltk",
    "torch-geometric",
    "open-clip-torch",
)


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report: a PNG file, and what it shows."""

    title: str
    image: Path
    caption: str = ""


@dataclass(frozen=True)
class Report:
    """What goes into a report.

    Attributes:
        command: the line that makes it again.
        links: what -> path or address, where everything is.
        facts: further lines of provenance, such as the cost.
    """

    title: str
    tables: Sequence[Table]
    figures: Sequence[ReportFigure] = ()
    command: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def commit() -> str:
    """Return the commit of the code, "-dirty" where files differ; "not a git checkout" otherwise."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "git is not available"
    return found.stdout.strip() if found.returncode == 0 else "not a git checkout"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _seeds(tables: Sequence[Table]) -> str:
    return ", ".join(str(seed) for seed in sorted({seed for table in tables for seed in table.frame["seed"]}))


def provenance(report: Report) -> dict[str, str]:
    """Return what made the numbers: units, seeds, cost, code, libraries, machine."""
    seconds = {digest: t for table in report.tables for digest, t in table.seconds.items()}
    versions = ", ".join(f"{package} {_version(package)}" for package in PACKAGES)
    facts = {
        "Units": f"{len(seconds)}, digest over all of them {digest_of(sorted(seconds))}",
        "Seeds": _seeds(report.tables) or "none",
        "Training time": f"{sum(seconds.values()):.0f} s in all",
        "Code": f"mase {_version('mase')}, commit {commit()}",
        "Libraries": f"Python {platform.python_version()}, {versions}",
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return {**facts, **report.facts}


def _embedded(image: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode()


def render_report(report: Report) -> str:
    """Return the report as HTML that loads nothing: no scripts, styles and images inside."""
    loader = PackageLoader("mase.evaluation", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    tables = [
        # to_html escapes every text that it is given.
        {"title": table.declaration.title, "headline": headline(table), "html": Markup(to_html(table))}
        for table in report.tables
    ]
    figures = [{"title": f.title, "caption": f.caption, "source": _embedded(f.image)} for f in report.figures]
    links = {"Units, proxies, graphs, tracking store": str(home()), **report.links}
    return environment.get_template("report.html.j2").render(
        report=report, tables=tables, figures=figures, provenance=provenance(report), links=links
    )


def write_report(path: Path, report: Report) -> Path:
    """Write the report to `path` and return it."""
    write_atomically(path, render_report(report))
    return path
