"""Page: how the allocation weights move over the EM iterations, units side by side."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store
from dashboards.tree import cell_of

MOST, IN_LINE, AT_FIRST = 9, 3, 3
UNITS, REPORTS = "Units", "Reports (mean over seeds)"
METRICS = ("em/information/",)
ABOUT = (
    "Above: weights of the modalities, uniform dotted. Below: the information that they follow, with one "
    "standard error on either side."
)


class Choice(NamedTuple):
    """A unit that can be shown: its task, row and name, and its digest."""

    task: str
    row: str
    label: str
    unit: str | None


def page() -> None:
    """Show the trajectories of units, or of a report's primary row averaged over seeds."""
    st.title("Allocation")
    kind = st.segmented_control("Show", [UNITS, REPORTS], default=UNITS, required=True)
    if kind == REPORTS:
        _reports()
    else:
        _units()


def _units() -> None:
    runs = store.runs_or_how(METRICS)
    if runs is None:
        return
    choices = choices_of(runs)
    if not choices:
        shown.nothing_yet("No unit with several modalities yet:", "mase train looks")
        return
    task = st.selectbox("Task", sorted({choice.task for choice in choices.values()}))
    mine = {key: choice for key, choice in choices.items() if choice.task == task}
    first = {choice.row: key for key, choice in reversed(mine.items())}  # the newest of each row
    at_first = [key for key in mine if key in first.values()][:AT_FIRST]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.multiselect(
            "Units", list(mine), default=at_first, max_selections=MOST,
            format_func=lambda key: mine[key].label if key in mine else key, key=f"units-{task}",
        )  # fmt: skip
        store.refresh_button()
    with store.explained():
        _side_by_side([(mine[key].label, store.allocation(key, mine[key].unit)) for key in picked])


def choices_of(runs: pd.DataFrame) -> dict[str, Choice]:
    """Return the runs whose weights follow information, newest first, then units without a run."""
    seeds = cell_of(runs)
    informed = [column for column in seeds if str(column).startswith("em/information/")]
    moving = seeds[seeds[informed].notna().any(axis=1)] if informed else seeds.iloc[:0]
    found: dict[str, Choice] = {}
    for run in moving[["run_id", "name", "status", "task", "row", "unit"]].to_dict("records"):
        label = shown.one_line(str(run["name"])) + (" (running)" if run["status"] == "RUNNING" else "")
        found[run["run_id"]] = Choice(str(run["task"]), str(run["row"]), label, run["unit"])
    for unit in store.untracked_units(seeds["unit"].dropna().tolist()):
        found[unit] = Choice("without a run", unit, unit, unit)
    return found


def _side_by_side(frames: list[tuple[str, pd.DataFrame]]) -> None:
    drawn.legend({modality for _, frame in frames for modality in frame["modality"]})
    for start in range(0, len(frames), IN_LINE):
        for column, (label, frame) in zip(st.columns(IN_LINE), frames[start : start + IN_LINE], strict=False):
            with column:
                _one(label, frame)
    shown.note(ABOUT)


def _one(label: str, frame: pd.DataFrame) -> None:
    shown.title(label)
    if frame.empty:
        shown.note("No E-step yet.")
        return
    drawn.show(drawn.weights_chart(frame), "Allocation weights over the EM iterations")
    if frame["information"].notna().any():
        drawn.show(drawn.information_chart(frame), "Information over the EM iterations")


def _reports() -> None:
    files = [path for folder in store.reports() for path in sorted(folder.glob("figure4-*.csv"))]
    if not files:
        shown.nothing_yet("No report with Figure 4 yet:", "mase reproduce")
        return
    path = st.selectbox("Report", files, format_func=_label)
    frame = pd.read_csv(path)
    parts = [(task, frame[frame["task"] == task]) for task in dict.fromkeys(frame["task"])]
    _side_by_side([(f"{task} ({int(part['seeds'].max())} seeds)", part) for task, part in parts])
    shown.note("Means over seeds of the table's primary row; the band is one standard deviation.")


def _label(path: Path) -> str:
    return f"{path.parent.name}: {path.stem}"
