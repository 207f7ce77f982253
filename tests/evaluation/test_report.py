import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mase.evaluation.declaration import TableParams
from mase.evaluation.plots import figure4, read_allocation
from mase.evaluation.report import Report, ReportFigure, commit, write_report
from mase.evaluation.tables import build_table

LABELS = np.arange(200) % 2


@pytest.fixture
def text(study: Any, declare: Callable[..., TableParams], tmp_path: Path) -> str:
    """Return a report with one table and one figure, under a title that tries to inject."""
    for row, wrong in (("Text", 40), ("MASE", 20)):
        study.add(
            row, "looks", LABELS, lambda seed, n=wrong: np.where(np.arange(200) < n, 1 - LABELS, LABELS)
        )
    declared = declare(
        ["looks"], [{"label": "Text", "group": "reference"}, {"label": "MASE"}], title="Looks & sounds"
    )
    table = build_table(declared, study.cells, load=study.load, resamples=200)
    from_csv = "iteration,modality,weight,information,information_se\n0,text,1.0,,\n1,text,1.0,0.2,0.01\n"
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "allocation.csv").write_text(from_csv)
    image = figure4({"Looks": [read_allocation(folder)]}, tmp_path).image
    report = Report(
        "<script>alert(1)</script>",
        [table],
        [ReportFigure("Figure 4", image, "weights & information")],
        command="mase reproduce --tasks 'looks'",
        links={"Report": "a<b"},
        facts={"Profile": "demo"},
    )
    return write_report(tmp_path / "report" / "report.html", report).read_text()


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_loads_nothing_and_runs_nothing(text: str) -> None:
    links = Links()
    links.feed(text)
    assert len(links.addresses) == 1
    assert links.addresses[0].startswith("data:image/png;base64,")
    assert not links.tags & {"script", "link", "iframe"}
    assert "url(" not in text
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text


def test_the_report_leads_with_the_finding_and_says_where_it_comes_from(text: str) -> None:
    assert text.index("MASE, Looks (synthetic): +10.0 points") < text.index("<table>")
    plain = re.sub(r"<[^>]+>", " ", text)
    made = ["Looks &amp; sounds", "mase reproduce --tasks", "0, 1, 2", "60 s in all", "6, digest", "commit"]
    for expected in (*made, "Python 3", "a&lt;b", "Profile"):
        assert expected in plain, expected


def test_the_commit_is_named_or_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?|not a git checkout", commit())
    monkeypatch.setenv("PATH", "")
    assert commit() == "git is not available"
