"""One self-contained HTML file: findings, tables, figures, model cards, and where every number comes from."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mase.artifacts import home, write_atomically
from mase.evaluation.headline import headline
from mase.evaluation.render import to_html
from mase.evaluation.report_provenance import provenance, unit_lines
from mase.evaluation.tables import Table
from mase.model_card import ModelCard


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
        cards: model cards, one for each configuration that the report is about.
        command: the line that makes it again.
        links: what -> path or address, where everything is.
        facts: further lines of provenance, such as the cost.
    """

    title: str
    tables: Sequence[Table]
    figures: Sequence[ReportFigure] = ()
    cards: Sequence[ModelCard] = ()
    command: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def _embedded(image: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode()


def _anchor(kind: str, number: int) -> str:
    return f"{kind}-{number}"


def render_report(report: Report) -> str:
    """Return the report as HTML that loads nothing: no scripts, styles and images inside."""
    loader = PackageLoader("mase.evaluation", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    tables = [
        # to_html escapes every text that it is given.
        {
            "anchor": _anchor("table", number),
            "title": table.declaration.title,
            "headline": headline(table),
            "html": Markup(_scoped(to_html(table))),
            "units": unit_lines(table),
        }
        for number, table in enumerate(report.tables, start=1)
    ]
    figures = [
        {
            "anchor": _anchor("figure", number),
            "title": figure.title,
            "caption": figure.caption,
            "source": _embedded(figure.image),
        }
        for number, figure in enumerate(report.figures, start=1)
    ]
    cards = [
        {"anchor": _anchor("card", number), "title": card.title, "sections": card.sections}
        for number, card in enumerate(report.cards, start=1)
    ]
    return environment.get_template("report.html.j2").render(
        report=report,
        tables=tables,
        figures=figures,
        cards=cards,
        provenance={**provenance(report.tables), **report.facts},
        links={"Units, proxies, graphs, tracking store": str(home()), **report.links},
    )


def _scoped(html: str) -> str:
    """Give each table of a fragment a box of its own, which scrolls where the table is too wide."""
    return re.sub(
        r"<table>.*?</table>", lambda found: f'<div class="wide">{found[0]}</div>', html, flags=re.DOTALL
    )


def write_report(path: Path, report: Report) -> Path:
    """Write the report to `path` and return it."""
    write_atomically(path, render_report(report))
    return path
