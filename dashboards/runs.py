"""Page: the runs and their state, as a tree of flows, cells and seeds."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import shown, store
from dashboards.tree import arranged, with_ancestors

DEPTHS = {"Flows": 0, "Cells": 1, "Seeds": 2}
STATES = {"FINISHED": "finished", "RUNNING": "▶ running", "FAILED": "✖ failed", "KILLED": "■ stopped"}
METRICS = ("eval/", "study/", "cost/seconds")
NO_SCORE = "constant_predictions"
REFRESH_SECONDS = 5
ROW_HEIGHT, MOST_HEIGHT = 35, 560  # pixels
EM_SPACE = "\u2003"
COLUMNS = {
    "state": st.column_config.TextColumn("State", width=90),
    "run": st.column_config.TextColumn("Run", width=330),
    "units": st.column_config.TextColumn("Units done", width=95),
    "score": st.column_config.TextColumn("Score", width=220),
    "training": st.column_config.TextColumn("Training", width=80),
    "started": st.column_config.DatetimeColumn("Started (UTC)", format="YYYY-MM-DD HH:mm", width=140),
    "lasted": st.column_config.TextColumn("Lasted", width=80),
}


def page() -> None:
    """Show the runs; while one is going on, again every few seconds."""
    st.title("Runs")
    found = store.runs_or_how(METRICS)
    if found is None:
        return
    store.choose_limit()
    going_on = bool((found["status"] == "RUNNING").any())
    follow = st.session_state.get("follow", going_on)
    st.fragment(_runs, run_every=REFRESH_SECONDS if follow else None)(going_on)


def _runs(going_on: bool) -> None:
    found = store.runs_or_how(METRICS)
    if found is None:
        return
    placed = arranged(found)
    _summary(placed)
    chosen = _filtered(placed, going_on)
    if chosen.empty:
        shown.note("No run is like that.")
        return
    st.session_state["rows"] = chosen["run_id"].tolist()
    st.dataframe(
        as_table(chosen), hide_index=True, column_config=COLUMNS, key="runs", on_select=_select,
        selection_mode="single-row", width="stretch",
        height=min(MOST_HEIGHT, ROW_HEIGHT * (len(chosen) + 1) + 3),
    )  # fmt: skip
    shown.note(f"{len(chosen):,} of {len(found):,} runs. Tick a run to see its params and scores.")
    if st.session_state.get("selected"):
        _details(found, st.session_state["selected"])


def _select() -> None:
    picked = st.session_state["runs"]["selection"]["rows"]
    st.session_state["selected"] = st.session_state["rows"][picked[0]] if picked else None


def _summary(placed: pd.DataFrame) -> None:
    tops = placed[placed["depth"] == 0]
    shown.facts(
        [
            (f"{int(tops['leaves'].sum()):,}", "units"),
            (f"{int(tops['finished'].sum()):,}", "finished"),
            (f"{int(tops['running'].sum()):,}", "running"),
            (f"{int(tops['ended_badly'].sum()):,}", "failed or stopped"),
            (shown.duration(float(tops["seconds"].sum())), "of training"),
        ]
    )


def _filtered(placed: pd.DataFrame, going_on: bool) -> pd.DataFrame:
    """Return the runs that the user asks for: down to a depth, or all that match and what is above them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        depth = st.segmented_control("Down to", list(DEPTHS), default="Flows", key="depth", required=True)
        states = st.multiselect(
            "State", list(STATES), format_func=STATES.__getitem__, key="states", width=240
        )
        text = st.text_input("Name contains", key="name", width=220, placeholder="mrpc, MPB, seed 0")
        store.refresh_button()
        st.toggle("Every 5 s", value=going_on, key="follow", on_change=_changed)
    if st.session_state.pop("changed", False):
        st.rerun()
    if not states and not text:
        return placed[placed["depth"] <= DEPTHS[depth or "Flows"]]
    wanted = placed["name"].fillna("").str.contains(text, case=False, regex=False)
    if states:
        wanted &= placed["status"].isin(states)
    return with_ancestors(placed, wanted)


def _changed() -> None:
    """Have the whole page run again: how often this part of it runs is settled outside of it."""
    st.session_state["changed"] = True


def as_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return what the page says of each run, one line each."""
    return pd.DataFrame([_line(run) for run in chosen.to_dict("records")], columns=list(COLUMNS))


def _line(run: dict[Any, Any]) -> dict[str, Any]:
    leaves, seconds = int(run["leaves"]), float(run["seconds"])
    end = pd.Timestamp.now("UTC") if pd.isna(run["end"]) else run["end"]
    return {
        "state": STATES.get(run["status"], run["status"]),
        "run": EM_SPACE * int(run["depth"]) + _name(run),
        "units": f"{int(run['finished'])} of {leaves}" if leaves else "–",
        "score": _score(run),
        "training": shown.duration(seconds) if seconds else "–",
        "started": run["start"].tz_localize(None),
        "lasted": shown.duration((end - run["start"]).total_seconds()),
    }


def _name(run: dict[Any, Any]) -> str:
    name, tables = shown.one_line(str(run["name"])), run["tables"]
    return f"{name} ({', '.join(json.loads(tables))})" if isinstance(tables, str) else name


def _score(run: dict[Any, Any]) -> str:
    scores = {key: value for key, value in run.items() if str(key).startswith(("eval/", "study/"))}
    return ", ".join(
        f"{key.rpartition('/')[2]} {value:.4f}"
        for key, value in scores.items()
        if value == value and not key.endswith(NO_SCORE)
    )


def _details(found: pd.DataFrame, run_id: str) -> None:
    with store.explained():
        run = store.record(run_id)
        st.subheader("The ticked run")
        unit = f", unit {run.tags['mase.unit']}" if "mase.unit" in run.tags else ""
        shown.title(run.name)
        shown.note(f"Run {run.run_id}{unit}")
        for reason in found[found["run_id"] == run_id]["reason"].dropna():
            st.code(reason, language=None, wrap_lines=True)
        scores, params = st.columns(2)
        with scores:
            _pairs("metric", {key: f"{value:.6g}" for key, value in sorted(run.metrics.items())})
        with params:
            _pairs("param", dict(sorted(run.params.items())))
        if run.datasets:
            data = [
                {"data": d.name, "rows": d.rows, "source": d.source, "digest": d.digest} for d in run.datasets
            ]
            st.dataframe(pd.DataFrame(data), hide_index=True, width="stretch")


def _pairs(name: str, values: dict[str, str]) -> None:
    if values:
        frame = pd.DataFrame({name: list(values), "value": list(values.values())})
        st.dataframe(
            frame, hide_index=True, width="stretch", height=min(320, ROW_HEIGHT * (len(frame) + 1) + 3)
        )
