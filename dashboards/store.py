"""What pages read: the runs of the tracking store, and the folders of `$MASE_HOME`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards.shown import note, nothing_yet, problem
from mase.artifacts import home
from mase.errors import MaseError
from mase.modalities import MODALITIES
from mase.tracking import RunRecord, database
from mase.tracking.address import sqlite_file, tracking_uri, without_credentials
from mase.tracking.listing import METRICS, listing, trajectories
from mase.tracking.reader import read_run

FRESH_SECONDS = 2  # several open pages share one reading
UNITS_FRESH_SECONDS = 30
SERVER_LIMITS = [200, 1000, 5000]  # newest runs to ask of a server, which sends each with all its params
UNIT = re.compile(r"[0-9a-f]{20}")
FIRST_COMMAND = "mase reproduce"
FIRST = "No run yet. This trains the demonstration table in a few minutes, without a download:"

Place = tuple[str, str]  # the store's address and the home: what a cached answer is about


@contextmanager
def explained() -> Iterator[None]:
    """Show an error of this project on the page; anything else is a defect and stays an exception."""
    try:
        yield
    except MaseError as cause:
        problem(str(cause))


def place() -> Place:
    """Return what is being looked at."""
    return tracking_uri(), str(home())


@st.cache_data(ttl=FRESH_SECONDS, show_spinner=False)
def _listing(place: Place, metrics: tuple[str, ...], limit: int | None) -> pd.DataFrame:
    return listing(metrics=metrics, limit=limit)


def read_runs(metrics: tuple[str, ...] = METRICS) -> pd.DataFrame:
    """Return the runs, newest first: all of a database, the newest of a server.

    Args:
        metrics: beginnings of the names of what a page needs; the fewer, the sooner it is there.
    """
    direct = database.is_database(tracking_uri())
    limit = None if direct else st.session_state.get("limit", SERVER_LIMITS[0])
    return _listing(place(), metrics, limit)


def choose_limit() -> None:
    """Let the user ask a server for more than the newest runs."""
    if not database.is_database(tracking_uri()):
        st.selectbox("Newest runs to ask the server for (about 4 s per 1,000)", SERVER_LIMITS, key="limit")


def refresh_button() -> None:
    """Show a button that reads everything again."""
    st.button("Refresh", icon=":material/refresh:", on_click=st.cache_data.clear)


def runs_or_how(metrics: tuple[str, ...] = METRICS) -> pd.DataFrame | None:
    """Return the runs; where there are none or the store cannot be read, say so on the page, return None."""
    with explained():
        found = read_runs(metrics)
        if len(found):
            return found
        nothing_yet(FIRST, FIRST_COMMAND)
        note(f"Read from {shown_address()}; MASE_HOME and MASE_TRACKING_URI name another place.")
    return None


def shown_address() -> str:
    """Return the store's address without credentials."""
    uri = tracking_uri()
    file = sqlite_file(uri)
    return str(file) if file is not None else without_credentials(uri)


@st.cache_data(ttl=FRESH_SECONDS, show_spinner=False)
def _record(place: Place, run_id: str) -> RunRecord:
    return read_run(run_id)


def record(run_id: str) -> RunRecord:
    """Return everything that is known of a run."""
    return _record(place(), run_id)


@st.cache_data(ttl=FRESH_SECONDS, show_spinner=False)
def _points(place: Place, run_id: str) -> pd.DataFrame:
    return trajectories([run_id], ("em/weight/", "em/information/", "em/information_se/"))


def allocation(run_id: str, unit: str | None) -> pd.DataFrame:
    """Return `iteration, modality, weight, information, information_se` of a unit.

    From the unit's folder; a unit that is still training has no file there, its run has what is
    known so far.
    """
    folder = unit_folder(unit)
    if folder is not None and (folder / "allocation.csv").exists():
        from mase.evaluation.plots import read_allocation  # brings in matplotlib

        return read_allocation(folder)
    return from_points(_points(place(), run_id))


def from_points(points: pd.DataFrame) -> pd.DataFrame:
    """Return an allocation from the points of a run's metrics."""
    parts = points["key"].str.extract(r"^em/(?P<what>\w+)/(?P<modality>\w+)$")
    joined = points.join(parts).rename(columns={"step": "iteration"})
    joined = joined[joined["modality"].isin(MODALITIES)]
    wide = joined.pivot_table(index=["iteration", "modality"], columns="what", values="value", dropna=False)
    columns = ["weight", "information", "information_se"]
    return wide.reindex(columns=columns).dropna(how="all").reset_index()


def unit_folder(unit: str | None) -> Path | None:
    """Return a unit's folder; None for what is no unit's name, which might lead elsewhere."""
    return home() / "units" / unit if isinstance(unit, str) and UNIT.fullmatch(unit) else None


@st.cache_data(ttl=UNITS_FRESH_SECONDS, show_spinner=False)
def _units_on_disk(place: Place) -> list[str]:
    names = (path.parent.name for path in (home() / "units").glob("*/allocation.csv"))
    return sorted(name for name in names if UNIT.fullmatch(name))


def untracked_units(known: Sequence[str]) -> list[str]:
    """Return the finished units that no run of the store is about, such as imported ones."""
    tracked = set(known)
    return [unit for unit in _units_on_disk(place()) if unit not in tracked]


def reports() -> list[Path]:
    """Return the folders that reports were written to, the newest first."""
    found = [path.parent for path in (home() / "reports").glob("*/report.html")]
    return sorted(found, key=lambda folder: (folder / "report.html").stat().st_mtime, reverse=True)
