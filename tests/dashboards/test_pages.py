"""Every page run without a browser: on nothing, on a small store, on a store that cannot be read."""

import shutil
import sqlite3
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.__main__ import NEEDED
from tests.dashboards.filling import HOSTILE, fill, write_report, write_study

PAGES = ["runs", "tables", "allocation", "information", "scene_graphs", "embedding", "studies", "cost"]
SECONDS = 60.0
NEEDS_RUNS = ["runs", "allocation", "information", "cost"]
COMMANDS = {
    "tables": "mase reproduce",
    "embedding": "mase reproduce --figure 5",
    "studies": "mase tune looks",
}


def opened(page: str) -> Any:
    """Run one page."""

    def script(name: str) -> None:
        from importlib import import_module

        import streamlit as st

        st.cache_data.clear()
        import_module(f"dashboards.{name}").page()

    return AppTest.from_function(script, default_timeout=SECONDS, args=(page,)).run()


def html_of(app: Any) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def markdown_of(app: Any) -> str:
    kinds = ("markdown", "title", "header", "subheader", "caption", "error", "warning", "info", "success")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


@pytest.mark.parametrize("page", [*NEEDS_RUNS, *COMMANDS])
def test_without_any_run_a_page_says_which_command_to_use(page: str, mase_home: Path) -> None:
    app = opened(page)
    assert not app.exception
    assert COMMANDS.get(page, "mase reproduce") in app.code[0].value
    assert "yet" in html_of(app)
    assert not mase_home.exists()  # looking makes nothing


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_a_filled_home_and_hostile_text_as_text(page: str, store: Path, mase_home: Path) -> None:
    fill(store, flows=2, cells=5, seeds=2, rows=HOSTILE)
    write_report(mase_home, HOSTILE)
    write_study(mase_home, HOSTILE[0])
    app = opened(page)
    assert not app.exception
    assert len(app.title) == 1
    assert not any(text in markdown_of(app) for text in HOSTILE)
    assert "<script" not in html_of(app) and "<img" not in html_of(app)


@pytest.mark.parametrize("page", NEEDS_RUNS)
def test_a_file_that_is_no_store_is_a_message_and_no_traceback(page: str, mase_home: Path) -> None:
    mase_home.mkdir()
    (mase_home / "mlflow.db").write_bytes(b"this is no database, whatever its name says")
    app = opened(page)
    assert not app.exception
    assert app.error[0].value == "This cannot be shown."
    assert "mlflow.db" in app.code[0].value and "not a database" in app.code[0].value


def test_runs_show_flows_and_on_request_seeds(store: Path) -> None:
    fill(store, flows=3, cells=2, seeds=2)
    app = opened("runs")
    table = app.dataframe[0].value
    assert table["run"].tolist() == ["mase-paper (table6)"] * 3
    assert table["state"].tolist() == ["▶ running", "finished", "finished"]
    assert table["units"].tolist() == ["2 of 4", "4 of 4", "4 of 4"]
    app.button_group(key="depth").set_value("Seeds").run()
    table = app.dataframe[0].value
    assert len(table) == 3 * (1 + 2 * 3)
    assert sum(name.startswith("\u2003\u2003") for name in table["run"]) == 12
    assert table["score"].str.startswith("accuracy 0.").sum() == 10


def test_a_filter_finds_a_failed_seed_and_shows_where_it_belongs(store: Path) -> None:
    fill(store, flows=2, cells=2, seeds=2)
    app = opened("runs")
    app.multiselect(key="states").set_value(["FAILED"]).run()
    table = app.dataframe[0].value
    assert table["state"].tolist() == ["▶ running", "finished", "✖ failed"]
    app.text_input(key="name").set_value("no such run").run()
    assert not app.dataframe
    assert "No run is like that" in html_of(app)


def test_a_unit_that_is_training_shows_the_steps_that_it_has(store: Path, mase_home: Path) -> None:
    from dashboards import store as reading

    fill(store, flows=1, cells=1, seeds=1)
    runs = reading.read_runs()
    (going_on,) = runs[(runs["status"] == "RUNNING") & (runs["kind"] == "seed")]["run_id"]
    frame = reading.allocation(going_on, None)
    assert frame["iteration"].unique().tolist() == [1, 2, 3, 4]
    assert frame.groupby("iteration")["weight"].sum().tolist() == pytest.approx([1.0] * 4)
    app = opened("allocation")
    assert "(running)" in app.multiselect[0].options[0]


def test_a_unit_without_a_run_is_shown_from_its_folder(store: Path, mase_home: Path) -> None:
    fill(store, flows=1, cells=1, seeds=1)
    folder = mase_home / "units" / "0123456789abcdef0123"
    folder.mkdir(parents=True)
    lines = "iteration,modality,weight,information,information_se\n1,text,0.5,,\n1,image,0.5,0.1,0.01\n"
    (folder / "allocation.csv").write_text(lines, encoding="utf-8")
    app = opened("allocation")
    app.selectbox[0].set_value("without a run").run()
    assert app.multiselect[0].value == [folder.name]
    assert not app.exception
    (folder / "allocation.csv").write_text("broken", encoding="utf-8")
    app.run()
    assert not app.exception
    assert "no readable allocation" in app.code[0].value


def test_a_typed_sentence_is_drawn(mase_home: Path) -> None:
    app = opened("scene_graphs")
    app.text_input[0].set_value('A "red" bus <b>passes</b> a small dog.').run()
    assert not app.exception
    assert "graphviz" in str(app.get("graphviz_chart")) or app.get("graphviz_chart")
    assert "small dog" in html_of(app)
    app.text_input[0].set_value("").run()
    assert "No entity" in html_of(app)


def test_a_study_shows_its_best_values_as_options(mase_home: Path) -> None:
    write_study(mase_home, "mase")
    app = opened("studies")
    assert not app.exception
    assert app.code[0].value == "--set contrastive.alpha=0.1 --set contrastive.tau=0.07"
    assert [element.value for element in app.subheader] == ["History", "Importances", "Contour", "Trials"]


def test_a_study_that_has_not_begun_is_left_alone(mase_home: Path) -> None:
    folder = write_study(mase_home, "mase")
    (folder / "journal.log").unlink()
    app = opened("studies")
    assert not app.exception
    assert "No trial yet" in html_of(app)
    assert not (folder / "journal.log").exists()


@pytest.mark.parametrize("login", ["me:s3cret@127.0.0.1:1/optuna", "127.0.0.1:1/optuna?password=s3cret"])
def test_studies_in_a_database_that_is_not_there_are_a_message(
    login: str, mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(mase_home, "mase")
    monkeypatch.setenv("MASE_STUDY_STORAGE", f"postgresql+psycopg://{login}")
    app = opened("studies")
    assert not app.exception
    assert "127.0.0.1:1" in app.code[0].value and "s3cret" not in app.code[0].value


def test_the_pages_look_at_studies_without_making_tables(
    mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands in for PostgreSQL: with no tables in it, and then with Optuna's."""
    from flows import study_storage

    folder, url = write_study(mase_home, "mase"), f"sqlite:///{mase_home}/studies.db"
    monkeypatch.setenv("MASE_STUDY_STORAGE", "postgresql+psycopg:///optuna")
    real = study_storage.database
    monkeypatch.setattr(study_storage, "database", lambda _url, make_tables: real(url, make_tables))
    app = opened("studies")
    assert not app.exception
    assert "no tables of studies yet" in app.code[0].value
    with sqlite3.connect(mase_home / "studies.db") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    optuna.create_study(study_name=folder.name, storage=url).ask()
    app = opened("studies")
    assert not app.exception and "running" in html_of(app)


@pytest.fixture(scope="module")
def crowded(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store of 2,000 runs, with what `python -m dashboards` imports first imported."""
    for module in NEEDED:
        import_module(module)
    path = Path(shutil.copy(empty_store, tmp_path_factory.mktemp("crowded") / "mlflow.db"))
    fill(path, flows=20, cells=11, seeds=8)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("page", [*NEEDS_RUNS, "scene_graphs"])
def test_a_page_of_2000_runs_takes_less_than_three_seconds(
    page: str, crowded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the processor's time, which other processes change little; a browser times the first page."""
    monkeypatch.setenv("MASE_TRACKING_URI", f"sqlite:///{crowded}")
    started = time.process_time()
    app = opened(page)
    seconds = time.process_time() - started
    print(f"{page}: {seconds:.2f} s")
    assert not app.exception
    assert seconds < 3, seconds
