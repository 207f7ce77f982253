"""Optuna on PostgreSQL: workers share a study, and one that is killed in its trial loses nothing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from flows import study_storage
from flows.search import load_search
from flows.study import open_study
from flows.study_run import run_study
from flows.study_storage import VARIABLE
from mase.errors import ParamsError, TrackingError
from tests.end_to_end.compose_file import read
from tests.end_to_end.stack import Stack, postgres_programs
from tests.flows.test_study import REQUEST, finished_trials, study_process

PASSWORD = "only-for-this-test"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of Optuna's database on a PostgreSQL server of its own."""
    programs = postgres_programs()
    if programs is None:
        assert not os.environ.get("CI"), "CI installs PostgreSQL"
        pytest.skip("PostgreSQL is not installed")
    secrets = ("POSTGRES_PASSWORD", "PREFECT_LOGIN", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY")
    content = read("docker-compose.yml", dict.fromkeys(secrets, PASSWORD))
    stack = Stack(content, programs, tmp_path_factory.mktemp("postgres"))
    try:
        stack.start("postgres")
        url = f"postgresql+psycopg://mase:{PASSWORD}@127.0.0.1:{stack.ports['5432']}/optuna"
        yield url
        storage = study_storage.database(url)
        storage.remove_session()
        storage.engine.dispose()
    finally:
        stack.close()


def second_trial_begun() -> bool:
    trials = open_study(REQUEST.folder(), load_search(REQUEST.search)).trials
    return sum("unit" in trial.user_attrs for trial in trials) >= 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_worker_loses_no_trial(
    database: str, mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, database)
    process = study_process("4, workers=2")
    try:
        deadline = time.monotonic() + 150
        while not second_trial_begun():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if "flows.study_workers" in child.cmdline()]
        assert len(workers) == 2
        workers[0].kill()
        messages = process.communicate(timeout=150)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0 and "-9" in messages
    before = {trial.number: trial.value for trial in finished_trials()}
    assert run_study(REQUEST, 4, workers=2)["trials"] == 4
    after = {trial.number: trial.value for trial in finished_trials()}
    assert len(after) == 4 and before.items() <= after.items()
    trials = open_study(REQUEST.folder(), load_search(REQUEST.search)).trials
    assert sum(trial.state == TrialState.RUNNING for trial in trials) == 0
    assert not (REQUEST.folder() / "journal.log").exists()


def test_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"sqlite:///{tmp_path}/study.db")
    with pytest.raises(ParamsError, match="not for several workers"):
        open_study(tmp_path, load_search(REQUEST.search))


def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql+psycopg://mase:secret@127.0.0.1:1/optuna")
    with pytest.raises(TrackingError, match="MASE_STUDY_STORAGE=127.0.0.1:1/optuna") as caught:
        open_study(tmp_path, load_search(REQUEST.search))
    assert "secret" not in str(caught.value)
