"""Page: Figure 5, t-SNE pictures of features with the numbers that a picture cannot give."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store

MEASURED = {"task", "row", "space", "measure", "pair", "value", "low", "high", "chance"}
MEASURES = {  # a measure -> its label
    "silhouette": "silhouette (−1 to 1)",
    "separability": "told apart (share)",
    "gap": "gap (distance of means)",
}
ABOUT = (
    "Sizes of and distances between groups of a t-SNE picture mean nothing; the numbers below are what was "
    "measured, with 95% intervals; a tick is chance. Proxies are vectors of texts, so these are distances "
    "between texts."
)


def page() -> None:
    """Show one picture of one report, and its numbers."""
    st.title("t-SNE")
    files = [path for folder in store.reports() for path in figures_of(folder)]
    if not files:
        what = "No Figure 5 yet. This trains the rows that it shows, keeps their models and draws it:"
        shown.nothing_yet(what, "mase reproduce --figure 5")
        return
    path = st.selectbox("Figure", files, format_func=lambda path: f"{path.parent.name}: {path.stem}")
    st.image(str(path.with_suffix(".png")), width="content")
    shown.note(ABOUT)
    numbers = pd.read_csv(path)
    if set(numbers) >= MEASURED:
        _numbers(numbers)
    known = numbers.dropna(axis="columns", how="all")
    st.dataframe(known, hide_index=True, width="stretch", placeholder="")


def figures_of(folder: Path) -> list[Path]:
    """Return the numbers of the pictures of Figure 5 in a report's folder."""
    return sorted(path for path in folder.glob("figure5*.csv") if path.with_suffix(".png").exists())


def _numbers(numbers: pd.DataFrame) -> None:
    """Draw one measure: a line per row of the table and space."""
    present = [measure for measure in MEASURES if (numbers["measure"] == measure).any()]
    if not present:
        return
    measure = st.segmented_control(
        "Measure", present, default=present[0], required=True, format_func=MEASURES.__getitem__
    )
    overall = numbers["pair"].isna() | (numbers["pair"] == "mean")
    chosen = numbers[(numbers["measure"] == measure) & overall].sort_values("space", kind="stable")
    chosen = chosen.assign(row=chosen["row"] + ", " + chosen["space"])
    drawn.show(
        drawn.intervals(chosen, measure or present[0], chance="chance"), "The measure per row and space"
    )
