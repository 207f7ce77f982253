"""Page: Optuna studies: history, importances, the contour of two params, and the best values."""

import json
import os
from pathlib import Path
from typing import Any

import altair as alt
import optuna
import pandas as pd
import streamlit as st
from optuna.trial import TrialState

from dashboards import drawn, shown, store
from dashboards.contour import between
from flows.study_storage import VARIABLE, journal_path, study_storage
from mase.artifacts import home

COMMAND = "mase tune looks --trials 10"
REFRESH_SECONDS = 5
FEWEST = 4  # complete trials from which importances and a contour say anything
STATES = {
    "COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "▶ running", "FAIL": "✖ failed",
    "WAITING": "waiting",
}  # fmt: skip
COLUMNS = ["trial", "state", "score", "best", "seconds"]
FORMATS = {
    "score": st.column_config.NumberColumn("score", format="%.4f"),
    "best": st.column_config.NumberColumn("best so far", format="%.4f"),
    "seconds": st.column_config.NumberColumn("lasted (s)", format="%.0f"),
}


def page() -> None:
    """Show one study; while a trial is running, again every few seconds."""
    st.title("Studies")
    folders = study_folders()
    if not folders:
        shown.nothing_yet("No study yet. This tunes alpha and tau of an embedded task:", COMMAND)
        return
    folder = st.selectbox("Study", folders, format_func=lambda folder: folder.name)
    with store.explained():
        study = read_study(folder)
        running = study is not None and bool((trials_of(study)["state"] == "RUNNING").any())
        st.fragment(_study, run_every=REFRESH_SECONDS if running else None)(folder)


def study_folders() -> list[Path]:
    """Return the folders of studies, the one that was begun or gone on with last first."""
    found = sorted((home() / "studies").glob("*/request.json"), key=lambda path: path.stat().st_mtime)
    return [path.parent for path in reversed(found)]


def read_study(folder: Path) -> optuna.Study | None:
    """Return a study, which another process may be working on; None if it has not begun.

    Raises:
        MaseError: if the database that keeps studies cannot be opened or has no tables yet.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not os.environ.get(VARIABLE) and not journal_path(folder).exists():
        return None  # opening a journal would make its file
    storage = study_storage(folder, make_tables=False)
    if folder.name not in optuna.get_all_study_names(storage):
        return None
    return optuna.load_study(study_name=folder.name, storage=storage)


def trials_of(study: optuna.Study) -> pd.DataFrame:
    """Return `trial, state, score, best, seconds` of each trial, and a column for each param."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state.name,
            "score": trial.value if trial.state == TrialState.COMPLETE else None,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            **trial.params,
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    params = sorted({key for row in rows for key in row} - set(COLUMNS))
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *params])
    frame["score"] = frame["score"].astype(float)
    frame["best"] = frame["score"].cummax()
    return frame


def _study(folder: Path) -> None:
    study = read_study(folder)
    if study is None:
        shown.note("No trial yet.")
        return
    trials = trials_of(study)
    complete = trials.dropna(subset=["score"])
    counts = trials["state"].value_counts()
    shown.facts(
        [
            *(
                (str(counts.get(state, 0)), STATES[state])
                for state in ("COMPLETE", "PRUNED", "RUNNING", "FAIL")
            ),
            (f"{complete['score'].max():.4f}" if len(complete) else "–", "best score"),
        ]
    )
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    shown.note(
        f"{request['task']}, {request['method']}; scored on a slice of the training rows, never on dev."
    )
    if complete.empty:
        shown.note("No trial is complete yet.")
    else:
        _charts(study, complete)
    st.subheader("Trials")
    named = trials.assign(state=trials["state"].map(STATES)).sort_values("trial", ascending=False)
    st.dataframe(named, hide_index=True, width="stretch", column_config=FORMATS, placeholder="–")


def _charts(study: optuna.Study, complete: pd.DataFrame) -> None:
    best = study.best_trial.params
    shown.note("The best values, as options of mase train:")
    st.code(
        " ".join(f"--set {key}={value:.4g}" for key, value in best.items()), language="sh", wrap_lines=True
    )
    st.subheader("History")
    drawn.show(_history(complete), "Score of each trial, and the best so far")
    if len(complete) < FEWEST or complete["score"].nunique() == 1:
        shown.note(f"Importances and contour need {FEWEST} complete trials with different scores.")
        return
    importances, contour = st.columns(2)
    with importances:
        st.subheader("Importances")
        drawn.show(_importances(study), "Share of the score's variance that each param explains")
    with contour:
        if len(best) > 1:
            first, second = list(best)[:2]
            st.subheader("Contour")
            drawn.show(_contour(complete, first, second), "Score over two params, filled in between trials")


def _history(complete: pd.DataFrame) -> Any:
    base = alt.Chart(complete)
    base = base.encode(x=alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d")))
    scale, axis = alt.Scale(zero=False), alt.Axis(format=".3f")
    marks = base.mark_point(filled=True, size=55, opacity=1, color=drawn.accent())
    y = alt.Y("score:Q", title="score (line: best so far)", scale=scale, axis=axis)
    marks = marks.encode(y=y, tooltip=drawn.tips("trial:N", "score:Q"))
    best = base.mark_line(interpolate="step-after", color=drawn.ink(), strokeDash=[4, 3])
    return alt.layer(best.encode(y=alt.Y("best:Q", scale=scale, axis=axis)), marks).properties(height=220)


def _importances(study: optuna.Study) -> Any:
    found = optuna.importance.get_param_importances(study)
    frame = pd.DataFrame({"row": list(found), "share": list(found.values())})
    x = alt.X("share:Q", title="share of the score's variance", axis=alt.Axis(format="%"))
    bars = alt.Chart(frame).mark_bar(color=drawn.accent())
    return bars.encode(x=x, y=drawn.labels(list(found))).properties(height=80 + 32 * len(frame))


def _contour(complete: pd.DataFrame, first: str, second: str) -> Any:
    named = complete.rename(columns={first: "x", second: "y"})[["trial", "x", "y", "score"]].dropna()
    scheme = alt.Scale(scheme="viridis")
    colour = alt.Color("score:Q", scale=scheme, legend=alt.Legend(title="score"))
    log = alt.Scale(type="log", nice=False)
    axis = alt.Axis(format=".2~g", tickCount=4)
    x, y = alt.X("x:Q", title=first, scale=log, axis=axis), alt.Y("y:Q", title=second, scale=log, axis=axis)
    cells = alt.Chart(between(named)).mark_rect(strokeWidth=1)
    cells = cells.encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, stroke=alt.Stroke("score:Q", scale=scheme, legend=None)
    )
    marks = alt.Chart(named).mark_point(filled=True, size=60, opacity=1, stroke="#FFFFFF", color="#000000")
    marks = marks.encode(x=x, y=y, tooltip=drawn.tips("trial:N", "x:Q", "y:Q", "score:Q"))
    return alt.layer(cells, marks).properties(height=300)
