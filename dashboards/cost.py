"""Page: what training has cost: time, throughput and memory, by row and task, and over time."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store
from dashboards.tree import cell_of

GIBIBYTE = 2**30
MOST_BARS = 25
GROUPS = {"Row": "row", "Task": "task"}
METRICS = ("cost/",)
ABOUT = (
    "Time of preparation, training and evaluation in the attempt that finished. Peak memory is the "
    "accelerator's, or the process's where there is none."
)
FORMATS = {
    "row": st.column_config.TextColumn("row or task"),
    "hours": st.column_config.NumberColumn("in all (h)", format="%.2f"),
    "seconds": st.column_config.NumberColumn("median unit (s)", format="%.0f"),
    "examples": st.column_config.NumberColumn("median (examples/s)", format="%.0f"),
    "peak": st.column_config.NumberColumn("peak memory (GiB)", format="%.2f"),
}


def page() -> None:
    """Show the cost of the finished units."""
    st.title("Cost")
    runs = store.runs_or_how(METRICS)
    if runs is None:
        return
    seeds = cell_of(runs)
    paid = seeds.dropna(subset=["cost/seconds"]) if "cost/seconds" in seeds else seeds.iloc[:0]
    if paid.empty:
        shown.nothing_yet("No unit has finished yet:", "mase train looks")
        return
    shown.facts(
        [
            (f"{len(paid):,}", "finished units"),
            (shown.duration(paid["cost/seconds"].sum()), "of training"),
            (shown.duration(paid["cost/seconds"].median()), "median unit"),
            (f"{paid['cost/peak_bytes'].max() / GIBIBYTE:.1f} GiB", "largest peak memory"),
        ]
    )
    by = st.segmented_control("By", list(GROUPS), default="Row", required=True)
    found = by_group(paid, GROUPS[by or "Row"])
    drawn.show(_bars(found.head(MOST_BARS)), "Hours of training by group")
    st.dataframe(found, hide_index=True, width="stretch", column_config=FORMATS)
    st.subheader("Over time")
    drawn.show(_over_time(paid), "Hours of training so far, over time")
    shown.note(ABOUT)


def by_group(paid: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return `row, units, hours, seconds, examples, peak` of each group, the dearest first.

    `seconds` and `examples` (per second) are medians over units, `peak` is the largest, in GiB.
    """
    grouped = paid.groupby(column).agg(
        units=("cost/seconds", "size"), hours=("cost/seconds", "sum"), seconds=("cost/seconds", "median"),
        examples=("cost/examples_per_second", "median"), peak=("cost/peak_bytes", "max"),
    ).reset_index(names="row")  # fmt: skip
    grouped["hours"] /= 3600
    grouped["peak"] /= GIBIBYTE
    return grouped.sort_values("hours", ascending=False)


def _bars(found: pd.DataFrame) -> Any:
    bars = alt.Chart(found).mark_bar(color=drawn.accent())
    x = alt.X("hours:Q", title="training (h)")
    said = drawn.tips("row:N", "units:N", "hours:Q", digits=".2f")
    return bars.encode(x=x, y=drawn.labels(list(found["row"])), tooltip=said).properties(
        height=80 + 22 * len(found)
    )


def _over_time(paid: pd.DataFrame) -> Any:
    ordered = paid.dropna(subset=["end"]).sort_values("end")
    hours = ordered["cost/seconds"].cumsum() / 3600
    frame = pd.DataFrame({"end": ordered["end"].dt.tz_localize(None), "hours": hours})
    line = alt.Chart(frame).mark_line(interpolate="step-after", color=drawn.accent(), strokeWidth=2)
    x = alt.X("end:T", title="finished (UTC)", axis=alt.Axis(format="%m-%d %H:%M", tickCount=5))
    return line.encode(x=x, y=alt.Y("hours:Q", title="training so far (h)")).properties(height=220)
