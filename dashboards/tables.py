"""Page: the tables with the paper's numbers beside ours, as `mase reproduce` and `mase report` wrote them."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store

COMMANDS = (
    "mase reproduce    # the demonstration table, a few minutes",
    "mase reproduce --table 6 --profile local --data-dir DIR    # Table 6 on real data",
)
ABOUT = (
    "Written when the units were done; nothing is trained here. The report names the command that made it: "
    "run again, it brings the table up to date."
)


def page() -> None:
    """Show one report's tables, and how its rows differ from the reference."""
    st.title("Tables")
    folders = [folder for folder in store.reports() if tables_of(folder)]
    if not folders:
        shown.nothing_yet(
            "No table yet. Either of these trains what a table needs, and writes it:", *COMMANDS
        )
        return
    folder = st.selectbox("Report", folders, format_func=_label)
    content = (folder / "report.html").read_bytes()
    st.download_button("Download the report", content, f"{folder.name}.html", "text/html")
    for path in tables_of(folder):
        shown.report_fragment(path.with_suffix(".html").read_text(encoding="utf-8"))
        _differences(pd.read_csv(path), path.stem)
    shown.note(ABOUT)


def _label(folder: Path) -> str:
    written = datetime.fromtimestamp((folder / "report.html").stat().st_mtime, UTC)
    return f"{folder.name}, {written:%Y-%m-%d %H:%M} UTC"


def tables_of(folder: Path) -> list[Path]:
    """Return the CSV files of a report's tables; those of its figures have no HTML beside them."""
    return sorted(path for path in folder.glob("*.csv") if path.with_suffix(".html").exists())


def _differences(cells: pd.DataFrame, name: str) -> None:
    """Draw each row's difference from the reference, with its interval, for one column."""
    known = cells.dropna(subset=["difference"]) if "difference" in cells else cells.iloc[:0]
    if known.empty:
        return
    st.subheader("Difference from the reference row")
    shown.note("In points, with 95% intervals of a paired bootstrap over examples and seeds.")
    column = st.selectbox("Column", list(dict.fromkeys(known["column"])), key=f"column-{name}")
    chosen = known[known["column"] == column].rename(
        columns={"difference": "value", "difference_low": "low", "difference_high": "high"}
    )
    chart = drawn.intervals(chosen.assign(zero=0.0), "difference (points)", chance="zero")
    drawn.show(chart, "Difference of each row from the reference, with its interval")
