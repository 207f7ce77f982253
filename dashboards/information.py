"""Page: what each modality tells about the label, with standard errors, row by row of a task."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store
from dashboards.tree import cell_of
from mase.modalities import MODALITIES

MOST_ROWS = 14
COLUMNS = ["task", "row", "modality", "seeds", "information", "information_se", "weight"]
METRICS = ("em/weight/", "em/information/", "em/information_se/")
ABOUT = (
    "I(h; y) in nats (Eq. 10), measured on the information slice at the last E-step: the mean over seeds, "
    "and one standard error on either side, of seeds and slice together."
)
FORMATS = {
    "information": st.column_config.NumberColumn("information (nats)", format="%.4f"),
    "information_se": st.column_config.NumberColumn("± 1 s.e. (nats)", format="%.4f"),
    "weight": st.column_config.NumberColumn("weight z", format="%.3f"),
}


def page() -> None:
    """Show the information of every modality at the last E-step."""
    st.title("Information")
    runs = store.runs_or_how(METRICS)
    if runs is None:
        return
    found = summary(cell_of(runs))
    if found.empty:
        shown.nothing_yet("No unit has measured information yet:", "mase train looks")
        return
    task = st.selectbox("Task", sorted(set(found["task"])))
    mine = found[found["task"] == task]
    rows = list(dict.fromkeys(mine["row"]))
    picked = st.multiselect("Rows", rows, default=rows[:MOST_ROWS], key=f"rows-{task}")
    mine = mine[mine["row"].isin(picked)]
    if mine.empty:
        return
    drawn.legend(set(mine["modality"]))
    drawn.show(_chart(mine), "Information per row and modality, with standard errors")
    shown.note(ABOUT)
    st.dataframe(mine[COLUMNS[1:]], hide_index=True, width="stretch", column_config=FORMATS)


def summary(seeds: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the seeds of each cell, with the columns of `COLUMNS`.

    The standard error joins the spread over seeds with each seed's own, as in Figure 4.
    """
    parts = []
    for modality in MODALITIES:
        names = {f"em/{what}/{modality}": what for what in ("information", "information_se", "weight")}
        if f"em/information/{modality}" in seeds:
            part = seeds.reindex(columns=["task", "row", *names]).rename(columns=names)
            parts.append(part.dropna(subset=["information"]).assign(modality=modality))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    joined = pd.concat(parts, ignore_index=True)
    joined["variance"] = joined["information_se"] ** 2
    grouped = joined.groupby(["task", "row", "modality"], sort=False)
    found = grouped.agg(
        seeds=("information", "size"), information=("information", "mean"), weight=("weight", "mean"),
        spread=("information", "var"), own=("variance", "mean"),
    ).reset_index()  # fmt: skip
    total = found["own"].fillna(0.0) + found["spread"].fillna(0.0)
    return found.assign(information_se=(total / found["seeds"]) ** 0.5)[COLUMNS]


def _chart(frame: pd.DataFrame) -> Any:
    present = set(frame["modality"])
    rows = list(dict.fromkeys(frame["row"]))
    offset = alt.YOffset("modality:N", sort=[m for m in MODALITIES if m in present])
    base = alt.Chart(drawn.with_bars(frame))
    base = base.encode(y=drawn.labels(rows), yOffset=offset, color=drawn.modality_colour(present))
    bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q", title=drawn.NATS), x2="high:Q")
    said = drawn.tips("row:N", "modality:N", "seeds:N", "information:Q", "information_se:Q")
    marks = base.mark_point(filled=True, size=50, opacity=1)
    marks = marks.encode(x="information:Q", shape=drawn.modality_shape(present), tooltip=said)
    return alt.layer(bars, marks).properties(height=80 + 12 * len(present) * len(rows))
