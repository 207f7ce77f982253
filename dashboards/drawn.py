"""What charts share: one colour and mark per modality, on light and on dark, and error bars."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import shown
from mase.modalities import MODALITIES

# Okabe and Ito's colours, as in Figure 4; text is black on light and near white on dark.
COLOURS = {"text": "#000000", "image": "#0072B2", "audio": "#D55E00", "video": "#009E73"}
COLOURS_ON_DARK = {"text": "#F0F0F0", "image": "#56B4E9", "audio": "#E69F00", "video": "#2FC79A"}
MARKS = {"text": "circle", "image": "square", "audio": "triangle-up", "video": "diamond"}
SIGNS = {"text": "●", "image": "■", "audio": "▲", "video": "◆"}
ITERATION = "EM iteration"
WEIGHT, NATS = "weight z", "information (nats)"


def is_dark() -> bool:
    """Tell whether the page is shown light on dark."""
    return st.context.theme.type == "dark"


def ink() -> str:
    """Return the colour of lines and letters."""
    return "#F0F0F0" if is_dark() else "#1B1F24"


def accent() -> str:
    """Return the colour of marks that stand for no modality."""
    return "#56B4E9" if is_dark() else "#0072B2"


def _colours() -> dict[str, str]:
    return COLOURS_ON_DARK if is_dark() else COLOURS


def legend(present: set[str]) -> None:
    """Show which mark is which modality, once for all charts of a page."""
    shown.legend((m, SIGNS[m], _colours()[m]) for m in MODALITIES if m in present)


def modality_colour(present: set[str]) -> alt.Color:
    """Return the colours of the modalities that a chart shows, in the fixed order."""
    names = [m for m in MODALITIES if m in present]
    scale = alt.Scale(domain=names, range=[_colours()[m] for m in names])
    return alt.Color("modality:N", scale=scale, legend=None)


def modality_shape(present: set[str]) -> alt.Shape:
    """Return the marks of the modalities, for those who see no colours."""
    names = [m for m in MODALITIES if m in present]
    return alt.Shape(
        "modality:N", scale=alt.Scale(domain=names, range=[MARKS[m] for m in names]), legend=None
    )


def labels(rows: list[str], **options: Any) -> alt.Y:
    """Return an axis of names, every one of them written out."""
    axis = alt.Axis(labelLimit=240, labelOverlap=False, **options)
    return alt.Y("row:N", sort=rows, title=None, axis=axis)


def tips(*fields: str, digits: str = ".4f") -> list[alt.Tooltip]:
    """Return what is said where the pointer rests; fields ending in :Q are numbers."""
    return [alt.Tooltip(f, format=digits) if f.endswith(":Q") else alt.Tooltip(f) for f in fields]


def show(chart: Any, description: str) -> None:
    """Show a chart in the page's width; `description` is for those who do not see it."""
    st.altair_chart(chart, width="stretch", alt=description)


def intervals(frame: pd.DataFrame, title: str, chance: str | None = None) -> Any:
    """Draw `value` with `low` and `high` for each `row`, and a tick where `chance` is."""
    rows = list(dict.fromkeys(frame["row"]))
    base = alt.Chart(frame).encode(y=labels(rows))
    said = tips("row:N", "value:Q", "low:Q", "high:Q")
    bars = base.mark_rule(strokeWidth=2, color=accent()).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    marks = base.mark_point(filled=True, size=60, opacity=1, color=accent())
    marks = marks.encode(x=alt.X("value:Q", title=title), tooltip=said)
    layers: list[Any] = [bars, marks]
    if chance is not None:
        tick = base.mark_tick(color=ink(), thickness=2)
        layers.insert(1, tick.encode(x=alt.X(f"{chance}:Q", title=title)))
    return alt.layer(*layers).properties(height=90 + 22 * len(rows))


def _over_iterations(frame: pd.DataFrame) -> alt.X:
    last = max(1, int(frame["iteration"].max()))
    axis = alt.Axis(tickMinStep=1, format="d")
    return alt.X("iteration:Q", title=ITERATION, axis=axis, scale=alt.Scale(domain=[0, last]))


def weights_chart(frame: pd.DataFrame) -> Any:
    """Draw allocation weights over the EM iterations; with `weight_sd`, a band of one deviation."""
    present = set(frame["modality"])
    base = alt.Chart(frame).encode(x=_over_iterations(frame), color=modality_colour(present))
    y = alt.Y("weight:Q", title=WEIGHT, scale=alt.Scale(domain=[0, 1]))
    line = base.mark_line(strokeWidth=2).encode(y=y)
    said = tips("modality:N", "iteration:N", "weight:Q", digits=".3f")
    marks = base.mark_point(filled=True, size=45, opacity=1)
    marks = marks.encode(y=y, shape=modality_shape(present), tooltip=said)
    level = pd.DataFrame({"weight": [1 / len(present)]})
    uniform = alt.Chart(level).mark_rule(strokeDash=[2, 3], color="#888888").encode(y=y)
    layers: list[Any] = [uniform, line, marks]
    if "weight_sd" in frame:
        spread = frame["weight_sd"].fillna(0.0)
        band = frame.assign(
            low=(frame["weight"] - spread).clip(0), high=(frame["weight"] + spread).clip(upper=1)
        )
        area = base.properties(data=band).mark_area(opacity=0.18)
        layers.insert(1, area.encode(y=alt.Y("low:Q", title=WEIGHT), y2="high:Q"))
    return alt.layer(*layers).properties(height=200)


def information_chart(frame: pd.DataFrame) -> Any:
    """Draw information over the EM iterations, with one standard error on either side."""
    known = with_bars(frame.dropna(subset=["information"]))
    present = set(frame["modality"])
    base = alt.Chart(known).encode(x=_over_iterations(frame), color=modality_colour(present))
    bars = base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q", title=NATS), y2="high:Q")
    line = base.mark_line(strokeWidth=1.4).encode(y=alt.Y("information:Q", title=NATS))
    said = tips("modality:N", "iteration:N", "information:Q", "information_se:Q")
    marks = base.mark_point(filled=True, size=40, opacity=1)
    marks = marks.encode(y="information:Q", shape=modality_shape(present), tooltip=said)
    return alt.layer(bars, line, marks).properties(height=180)


def with_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """Return information with `low` and `high`, one standard error on either side."""
    error = frame["information_se"].fillna(0.0)
    return frame.assign(low=frame["information"] - error, high=frame["information"] + error)
