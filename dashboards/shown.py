"""How text gets onto a page.

Streamlit reads the text of headings, captions, messages and labels as Markdown, with directives
such as `:red[...]`. Names of runs, tasks, rows and whatever else comes from data may hold anything,
so they are shown by the functions here (which escape), by data frames or by charts; what goes to
Streamlit's Markdown is constant text of this program. `tests/dashboards/test_sources.py` checks that.
"""

import html
from collections.abc import Iterable, Sequence

import streamlit as st

STYLES = """
<style>
.stMainBlockContainer { padding-top: 4rem; padding-bottom: 3rem; }
.stMainBlockContainer h1 { font-size: 1.9rem; padding: 0 0 .25rem; }
.stMainBlockContainer h3 { font-size: 1.2rem; padding: .5rem 0 0; }
.mase-note { opacity: .75; font-size: .9rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
.mase-title { font-weight: 600; margin: .25rem 0 0; overflow-wrap: anywhere; }
.mase-facts { display: flex; flex-wrap: wrap; gap: .25rem 1.75rem; margin: 0 0 .25rem; }
.mase-facts b { font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.mase-facts span { opacity: .75; font-size: .9rem; }
.mase-legend { display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: 0; }
.mase-table { overflow-x: auto; }
.mase-table table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem;
  margin: 0 0 1rem; }
.mase-table caption { text-align: left; font-weight: 600; padding: .3rem 0; caption-side: top;
  color: inherit; }
.mase-table th, .mase-table td { border: 0; border-bottom: 1px solid rgba(128,128,128,.25);
  padding: .25rem .6rem;
  text-align: right; vertical-align: top; white-space: nowrap; font-weight: 400; }
.mase-table thead th { font-weight: 600; vertical-align: bottom;
  border-bottom: 2px solid rgba(128,128,128,.6); }
.mase-table th.label { text-align: left; min-width: 7rem; white-space: normal; }
.mase-table tr.group th { text-align: left; font-size: .8rem; opacity: .75; padding-top: .7rem; }
.mase-table td.quoted, .mase-table .muted { opacity: .7; }
.mase-table small { font-size: .78rem; opacity: .8; }
.mase-table sup { font-weight: 700; margin-left: .15rem; line-height: 0; }
.mase-table .notes { font-size: .85rem; opacity: .75; padding-left: 1.1rem; margin: 0; }
</style>
"""


def styles() -> None:
    """Put the styles of the functions below on the page."""
    st.html(STYLES)


def one_line(text: str) -> str:
    """Return text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def note(text: str) -> None:
    """Show a sentence in small print, escaped."""
    st.html(f'<p class="mase-note">{html.escape(one_line(text))}</p>')


def title(text: str) -> None:
    """Show the name of something, escaped."""
    st.html(f'<p class="mase-title">{html.escape(one_line(text))}</p>')


def facts(found: Iterable[tuple[str, str]]) -> None:
    """Show numbers with what they are, on one line where it fits."""
    parts = [
        f"<div><b>{html.escape(value)}</b> <span>{html.escape(name)}</span></div>" for value, name in found
    ]
    st.html(f'<div class="mase-facts">{"".join(parts)}</div>')


def legend(marks: Iterable[tuple[str, str, str]]) -> None:
    """Show what the marks of the charts below mean: name, sign and colour of each."""
    parts = [
        f'<span><span style="color:{colour}">{sign}</span> {html.escape(name)}</span>'
        for name, sign, colour in marks
    ]
    st.html(f'<div class="mase-legend">{"".join(parts)}</div>')


def problem(what: str) -> None:
    """Show what went wrong, as plain text."""
    st.error("This cannot be shown.", icon=":material/error:")
    st.code(what, language=None, wrap_lines=True)


def nothing_yet(what: str, *commands: str) -> None:
    """Say that there is nothing to show yet, and which command makes it."""
    note(what)
    st.code("\n".join(commands), language="sh")


def report_fragment(fragment: str) -> None:
    """Show a table that `mase report` wrote: its texts are escaped, and `st.html` drops scripts."""
    st.html(f'<div class="mase-table">{fragment}</div>')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table of texts, escaped, whose cells break into lines."""
    head = "".join(f'<th class="label">{html.escape(one_line(cell))}</th>' for cell in heads)
    body = "".join(
        "<tr>" + "".join(f'<th class="label">{html.escape(one_line(cell))}</th>' for cell in row) + "</tr>"
        for row in rows
    )
    st.html(
        f'<div class="mase-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def duration(seconds: float) -> str:
    """Return a time to read: "41 s", "12 min", "3.4 h", "2.1 d"; "–" for none."""
    if seconds != seconds:
        return "–"
    for unit, size, limit in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < limit * size:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} d"
