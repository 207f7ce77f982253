"""The report: one file that fetches nothing, with every part that a reader needs."""

import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mase.evaluation.declaration import TableParams
from mase.evaluation.plots import figure4, read_allocation
from mase.evaluation.report import Report, ReportFigure, write_report
from mase.evaluation.report_card import card_of_table
from mase.evaluation.report_provenance import commit, duration, unit_facts
from mase.evaluation.tables import Table, build_table

LABELS = np.arange(200) % 2
FETCHING = {"src", "href", "srcset", "poster", "data", "action", "formaction", "background", "xlink:href"}
FORBIDDEN = {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"}


def wrong_on(count: int) -> Callable[[int], np.ndarray]:
    return lambda seed: np.where(np.arange(200) < count, 1 - LABELS, LABELS)


@pytest.fixture
def table(study: Any, declare: Callable[..., TableParams]) -> Table:
    """Return a table of two rows on two tasks."""
    for row, wrong in (("Text", 40), ("MASE", 20)):
        for task in ("looks", "sounds"):
            study.add(row, task, LABELS, wrong_on(wrong))
    declared = declare(
        ["looks", "sounds"],
        [{"label": "Text", "group": "reference"}, {"label": "MASE"}],
        title="Looks & sounds",
    )
    return build_table(declared, study.cells, load=study.load, resamples=200)


@pytest.fixture
def path(table: Table, study: Any, tmp_path: Path) -> Path:
    """Return the path of a report under a title that tries to inject."""
    from_csv = "iteration,modality,weight,information,information_se\n0,text,1.0,,\n1,text,1.0,0.2,0.01\n"
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "allocation.csv").write_text(from_csv)
    image = figure4({"Looks": [read_allocation(folder)]}, tmp_path).image
    card = card_of_table(table, study.cells, study.load)
    assert card is not None
    report = Report(
        "<script>alert(1)</script>",
        [table],
        [ReportFigure("Figure 4", image, "weights & information")],
        cards=[card],
        command="mase reproduce --tasks 'looks'",
        links={"Report": "a<b"},
        facts={"Profile": "demo", **unit_facts(study.cells, study.load)},
    )
    return write_report(tmp_path / "report" / "report.html", report)


@pytest.fixture
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a page would fetch, and what it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in FETCHING]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def fetched(self, text: str) -> list[str]:
        """Return every address that is neither inside the page nor a place in it."""
        inside = ("data:image/png;base64,", "#")
        found = [address for address in self.addresses if not address.startswith(inside)]
        return found + re.findall(r"url\([^)]*\)|@import[^;]*|src:[^;]*", text)


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text.partition("<body>")[2]).split())


def test_the_report_fetches_nothing_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert page.fetched(text) == []
    assert (
        sum(address.startswith("data:image/png") for address in page.addresses) == page.tags.count("img") == 1
    )
    assert not FORBIDDEN & set(page.tags)
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text


@pytest.mark.parametrize(
    "planted",
    ['<img src="https://x.org/a.png">', '<a href="b.html">', '<style>@font-face{src:url("f.woff")}</style>'],
)
def test_an_address_that_is_fetched_would_be_seen(text: str, planted: str) -> None:
    spoilt = text.replace("</body>", f"{planted}</body>")
    assert Page(spoilt).fetched(spoilt)


def test_every_part_is_there_and_the_contents_lead_to_it(text: str) -> None:
    page = Page(text)
    assert page.ids == ["findings", "table-1", "figure-1", "card-1", "provenance", "places"]
    leading = [address[1:] for address in page.addresses if address.startswith("#")]
    assert leading == ["table-1", "figure-1", "card-1", "provenance"]
    assert page.tags.count("table") == 3  # scores, differences, units
    assert text.count('<div class="wide">') == 3


def test_the_report_leads_with_the_finding_and_says_where_it_comes_from(text: str) -> None:
    assert text.index("MASE, mean of 2 tasks: +10.0 points") < text.index("<table>")
    made = [
        "Looks &amp; sounds",
        "mase reproduce --tasks",
        "Seeds 0, 1, 2",
        "12, digest",
        "commit",
        "Python 3",
    ]
    trained = ["torch 2.14.1 (12 units)", "0123456789abcdef0123", "2 min in all"]
    for expected in (*made, *trained, "peak memory 1.5 GiB", "a&lt;b", "Profile demo"):
        assert expected in plain(text), expected


def test_every_unit_is_named_by_its_digest(text: str, study: Any) -> None:
    digests = {unit.digest for cell in study.cells for unit in cell.units}
    assert len(digests) == 12
    assert not [digest for digest in digests if digest[:8] not in text]


def test_the_card_has_data_params_scores_limits_and_terms(table: Table, study: Any) -> None:
    card = card_of_table(table, study.cells, study.load)
    assert card is not None
    assert list(card.sections) == ["Data", "Model", "Scores", "Limits", "Terms of the weights"]
    assert (
        "rows: 1,234 train, 100 slice, 200 evaluation; digest 0123456789abcdef0123" in card.sections["Data"]
    )
    assert any(line.startswith("Looks (synthetic): ") for line in card.sections["Data"])
    assert "seeds 0, 1, 2" in card.sections["Model"]
    looks = next(line for line in card.sections["Scores"] if line.startswith("Looks"))
    assert "accuracy 90.0 ± 0.0 per cent (mean over 3 seeds, 200 examples)" in looks
    assert "against Text +10.0 points" in looks and "best constant prediction 50.0" in looks
    assert any("drawn at random" in line for line in card.sections["Limits"])
    terms = "\n".join(card.sections["Terms of the weights"])
    assert "academic use only, because of AudioCaps" in terms and "CC BY-SA 4.0" in terms


def test_a_table_without_its_primary_row_has_no_card(study: Any, declare: Callable[..., TableParams]) -> None:
    study.add("Text", "looks", LABELS, wrong_on(40))
    study.add("MASE", "looks", LABELS, wrong_on(20), done=())
    declared = declare(["looks"], [{"label": "Text", "group": "reference"}, {"label": "MASE"}])
    table = build_table(declared, study.cells, load=study.load, resamples=200)
    assert card_of_table(table, study.cells, study.load) is None
    assert unit_facts([], study.load) == {}


def test_the_commit_is_named_or_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?|not a git checkout", commit())
    monkeypatch.setenv("PATH", "")
    assert commit() == "git is not available"


def test_a_duration_is_rounded_to_what_is_read() -> None:
    assert [duration(t) for t in (47.6, 720.0, 12240.0)] == ["48 s", "12 min", "3.4 h"]


@pytest.fixture
def chromium() -> str:
    """Return the path of a browser; skip where there is none, fail where CI promises one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium")
        pytest.skip("no chromium")
    return found


@pytest.mark.slow
def test_a_browser_shows_and_prints_it_without_a_request(path: Path, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        grounds = {}
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 390  # only tables scroll
            grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.emulate_media(media="print")
            grounds[f"{scheme} print"] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        pages = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
        browser.close()
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}
    white = "rgb(255, 255, 255)"
    assert grounds["light"] == grounds["light print"] == grounds["dark print"] == white != grounds["dark"]
    assert pages >= 3  # the card and the provenance begin pages
