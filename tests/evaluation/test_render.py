import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from mase.evaluation.declaration import TableParams
from mase.evaluation.layout import p_text, points
from mase.evaluation.render import FORMATS, escape_latex, to_csv, to_html, to_latex, to_markdown, to_terminal
from mase.evaluation.tables import Table, build_table

LABELS = np.arange(200) % 2
NASTY = "A|b_*<i>&$%\\{x}#[y]\x1b[31m\nz"

Declare = Callable[..., TableParams]


def first_wrong(count: int) -> Callable[[int], np.ndarray]:
    """Return predictions with `count` errors, the same for every seed."""
    return lambda seed: np.where(np.arange(200) < count, 1 - LABELS, LABELS)


@pytest.fixture
def table(study: Any, declare: Declare) -> Table:
    """Text 80.0, MASE 90.0 on the same 200 examples, both without spread; a row for later."""
    rows = [
        {"label": "Text", "group": "reference"},
        {
            "label": "Later",
            "available": False,
            "overlays": (),
            "note": "needs prompts",
            "paper": {"BERT": {"looks": 64.9}},
        },
        {"label": "MASE", "paper": {"BERT": {"looks": 87.5, "average": 89.55}, "RoBERTa": {"looks": 90.3}}},
    ]
    study.add("Text", "looks", LABELS, first_wrong(40), seeds=(0, 1))
    study.add("Later", "looks", LABELS, None)
    study.add("MASE", "looks", LABELS, first_wrong(20), seeds=(0, 1))
    declared = declare(["looks"], rows, title="Small", quoted=("BERT", "RoBERTa"), quoted_from="the paper")
    return build_table(declared, study.cells, load=study.load, resamples=500, notes=["Too small."])


@pytest.fixture
def nasty(study: Any, declare: Declare) -> Table:
    rows = [{"label": NASTY, "group": "reference"}, {"label": "=1+1"}]
    study.add(NASTY, "looks", LABELS, first_wrong(40))
    study.add("=1+1", "looks", LABELS, first_wrong(20))
    declared = declare(["looks"], rows, title=NASTY, footnotes=(NASTY,))
    return build_table(declared, study.cells, load=study.load, resamples=200)


def on_terminal(table: Table, width: int) -> str:
    stream = io.StringIO()
    to_terminal(table, Console(file=stream, width=width, force_terminal=False, color_system=None))
    return stream.getvalue()


def test_markdown_golden(table: Table) -> None:
    lines = to_markdown(table).splitlines()
    assert lines[:12] == [
        "**Small**",
        "",
        "|  | Looks (synthetic) | quoted |",
        "| --- | ---: | ---: |",
        "| *Reference* | | |",
        "| Text | 80.0 ±0.0 | – |",
        "| *Methods* | | |",
        "| Later | not available | 64.9 |",
        "| MASE | 90.0 ±0.0 <sup>\\*</sup> | 87.5 / 90.3 |",
        "| *Chance* | | |",
        "| Best constant prediction | 50.0 |  |",
        "",
    ]
    assert lines[12] == "**Difference from Text, in points**"
    assert lines[17].startswith("| MASE | +10.0 \\[+")
    assert (
        "- Per cent, mean ± standard deviation over 2 seeds; a cell with another number of seeds says so."
        in lines
    )
    assert "- quoted (q): the paper; – is not published." in lines
    assert "- Later: needs prompts." in lines
    assert "- Too small." in lines


def test_latex_golden(table: Table) -> None:
    text = to_latex(table)
    assert r"Text & 80.0 $\pm$0.0 & \textcolor{gray}{--} \\" in text
    assert r"MASE & 90.0 $\pm$0.0\textsuperscript{*} & \textcolor{gray}{87.5 / 90.3} \\" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    for line in text.splitlines():
        unescaped = line.replace(r"\\", "").replace(r"\&", "")
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert unescaped.count("&") in (1, 2)


def test_csv_has_one_line_a_cell_with_every_statistic(table: Table) -> None:
    records = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [record["row"] for record in records] == ["Text", "Later", "MASE"]
    text, later, mase = records
    assert (text["mean"], text["seeds"], text["examples"], text["p"]) == ("80.0000", "2", "200", "")
    assert (later["mean"], later["seeds"], later["reason"]) == ("", "0", "not available")
    assert (mase["difference"], mase["quoted BERT"], mase["quoted RoBERTa"]) == ("10.0000", "87.5", "90.3")
    assert float(mase["difference_low"]) > 0
    assert 0 < float(mase["p"]) <= float(mase["p_holm"]) < 0.05
    assert float(mase["p_sign_flip"]) < 0.001
    assert mase["marks"] == "significant"


def test_the_terminal_shows_the_quoted_numbers_below_ours(table: Table) -> None:
    lines = on_terminal(table, 100).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("MASE"))
    assert "90.0 ±0.0 *" in lines[at]
    assert "q 87.5 / 90.3" in lines[at + 1]


def test_a_narrow_terminal_gets_blocks_that_fit(study: Any, declare: Declare) -> None:
    tasks = ["looks", "sounds", "moves", "says"]
    for row, wrong in (("Text", 40), ("MASE", 20)):
        for task in tasks:
            study.add(row, task, LABELS, first_wrong(wrong))
    declared = declare(tasks, [{"label": "Text", "group": "reference"}, {"label": "MASE"}])
    found = build_table(declared, study.cells, load=study.load, resamples=200)
    wide, narrow = on_terminal(found, 200), on_terminal(found, 60)
    assert max(len(line) for line in narrow.splitlines()) <= 60
    assert narrow.count("Best constant prediction") > wide.count("Best constant prediction") == 1
    for task in ("Looks", "Sounds", "Moves", "Says", "Average"):
        assert task in narrow


class Collector(HTMLParser):
    """Check that tags nest, and collect them and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "br":
            self.text += " / "
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_nests_and_escapes(nasty: Table) -> None:
    collector = Collector()
    collector.feed(to_html(nasty))
    assert not collector.open
    assert "i" not in collector.tags
    assert "A|b_*<i>&$%\\{x}#[y] [31m z" in collector.text
    assert collector.tags.count("table") == 2


def test_html_has_intervals_and_quoted_numbers_on_a_second_line(table: Table) -> None:
    text = to_html(table)
    assert "90.0 ±0.0<sup>*</sup><br><small>q 87.5 / 90.3</small>" in text
    assert re.search(r"<td class=\"difference\">\+10\.0 p\S+<sup>\*</sup><br><small>\[\+\d", text)
    assert 'class="quoted"' not in text
    heads, first = text.split("</thead>")[0].count("<th "), text.split('class="group">')[1]
    assert f'colspan="{heads}"' in first


def test_no_format_lets_text_act(nasty: Table) -> None:
    for render in FORMATS.values():
        assert "\x1b" not in render(nasty)
    assert "\x1b" not in on_terminal(nasty, 120)
    assert "[y]" in on_terminal(nasty, 120)  # not swallowed as markup
    row = next(line for line in to_markdown(nasty).splitlines() if line.startswith("| A"))
    assert r"A\|b\_\*&lt;i&gt;&amp;$%\\{x}\#\[y\] \[31m z" in row
    assert r"A|b\_*\textless{}i\textgreater{}\&\$\%\textbackslash{}\{x\}\#{[}y{]} {[}31m z" in to_latex(nasty)
    records = list(csv.DictReader(io.StringIO(to_csv(nasty))))
    assert records[1]["row"] == "'=1+1"
    assert len(records) == 2


def test_latex_has_no_character_that_needs_a_special_engine(table: Table) -> None:
    assert to_latex(table).isascii()
    assert escape_latex("−0.5 ± 1–2") == r"$-$0.5 $\pm$ 1--2"


def test_numbers_read_well() -> None:
    assert [points(v) for v in (0.0123, -0.0123, 0.0, -0.0001)] == ["+1.2", "−1.2", "+0.0", "+0.0"]
    assert [p_text(p) for p in (0.0001, 0.0123, 0.0999, 0.5, 0.996, 1.0)] == [
        "p<.001", "p=.012", "p=.100", "p=.50", "p=1", "p=1",
    ]  # fmt: skip
