"""Optuna on PostgreSQL: workers share a study, and one that is killed in its trial loses nothing."""

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psutil
import pytest
import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from flows import study_storage
from flows.search import load_search
from flows.study import open_study, prepare_study, run_trials, suggest
from flows.study_claims import claimed, is_claimed
from flows.study_request import StudyRequest
from flows.study_run import run_study
from flows.study_storage import VARIABLE
from mase.errors import ParamsError, TrackingError
from tests.end_to_end.compose_file import read
from tests.end_to_end.stack import Stack, postgres_programs
from tests.flows.test_study import REQUEST, finished_trials, study_process

PASSWORD = "only-for-this-test"
SEEDS = itertools.count(100)  # a study of its own for each test, since they share a database


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
        storage = study_storage.database(url, make_tables=True)
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
        deadline = time.monotonic() + 200
        while not second_trial_begun():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.3)
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if "flows.study_workers" in child.cmdline()]
        assert len(workers) == 2
        workers[0].kill()
        messages = process.communicate(timeout=150)[1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert process.returncode != 0 and "-9" in messages
    before = {trial.number: trial.value for trial in finished_trials()}
    assert run_study(REQUEST, 4, workers=2)["trials"] == 4
    after = {trial.number: trial.value for trial in finished_trials()}
    assert len(after) == 4 and before.items() <= after.items()
    trials = open_study(REQUEST.folder(), load_search(REQUEST.search)).trials
    assert sum(trial.state == TrialState.RUNNING for trial in trials) == 0
    assert not (REQUEST.folder() / "journal.log").exists()


WORKER = """
import sys, time, pathlib, types
from flows import study, study_workers

def train(unit, **_):
    while not pathlib.Path(unit.digest).exists():
        time.sleep(0.05)
    return types.SimpleNamespace(metrics={"accuracy": 0.5})

study.train = train
study.Unit = lambda params, label: types.SimpleNamespace(digest=sys.argv[1])  # needs no torch
study_workers.main(sys.argv[2:])
"""


@pytest.fixture
def request_of_its_own(
    database: str, mase_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StudyRequest]:
    """Give a study that no other test has: they share the database."""
    monkeypatch.setenv(VARIABLE, database)
    request = replace(REQUEST, seed=next(SEEDS))
    prepare_study(request)
    yield request


def trials_of(request: StudyRequest) -> list[FrozenTrial]:
    return open_study(request.folder(), load_search(request.search)).trials


def states_of(request: StudyRequest) -> list[str]:
    return [trial.state.name for trial in trials_of(request)]


@pytest.mark.slow
def test_a_living_workers_trial_is_left_alone_and_a_dead_ones_is_tried_again(
    request_of_its_own: StudyRequest, tmp_path: Path
) -> None:
    """Two workers, as on two machines: their training ends when a file is there."""
    request, gates = request_of_its_own, [str(tmp_path / name) for name in ("first", "second")]
    command = [sys.executable, "-c", WORKER]
    workers = {
        gate: subprocess.Popen(
            [*command, gate, str(request.folder()), "2"], stderr=subprocess.PIPE, text=True
        )
        for gate in gates
    }
    try:
        deadline = time.monotonic() + 100
        while sum("unit" in trial.user_attrs for trial in trials_of(request)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        dead, living = (trial.user_attrs["unit"] for trial in trials_of(request))
        workers[dead].kill()
        workers[dead].wait()
        prepare_study(request)  # what the next `mase tune` begins with
        trials = trials_of(request)
        assert [trial.state.name for trial in trials] == ["FAIL", "RUNNING", "WAITING"]
        assert trials[2].system_attrs["fixed_params"] == trials[0].params
        Path(living).touch()  # it ends its own trial, and then takes the one that was enqueued
        messages = workers[living].communicate(timeout=60)[1]
        assert workers[living].returncode == 0, messages
    finally:
        for worker in workers.values():
            worker.kill()
            worker.communicate()
    trials = trials_of(request)
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[2].params == trials[0].params != trials[1].params
    prepare_study(request)
    assert len(trials_of(request)) == 3


def test_a_trial_that_finishes_while_it_is_looked_at_is_not_run_again(
    request_of_its_own: StudyRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of_its_own
    search = load_search(request.search)
    worker = open_study(request.folder(), search)
    trial = worker.ask()
    suggest(trial, search)

    def ends_meanwhile(_folder: Path, _number: int) -> bool:
        worker.tell(trial, 0.5)
        return False

    monkeypatch.setattr("flows.study.is_claimed", ends_meanwhile)
    prepare_study(request)
    assert states_of(request) == ["COMPLETE"]


def test_a_worker_whose_claim_is_lost_leaves_its_trial_to_the_next(
    request_of_its_own: StudyRequest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the server: nobody can tell that the worker lives."""
    request, begun = request_of_its_own, []
    engine = study_storage.database(database, make_tables=True).engine
    ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"

    def train(unit: Any, *, on_iteration: Any, **_: Any) -> SimpleNamespace:
        begun.append(unit.params.contrastive)
        if len(begun) == 1:
            with engine.connect() as connection:
                assert connection.execute(sa.text(ended)).all()
            while is_claimed(request.folder(), 0):
                time.sleep(0.05)
            prepare_study(request)
            assert states_of(request) == ["FAIL", "WAITING"]
        on_iteration(2, {"score": 0.5})
        return SimpleNamespace(metrics={"accuracy": 0.5})

    monkeypatch.setattr("flows.study.train", train)
    unit = lambda params, label: SimpleNamespace(params=params, digest=label)  # noqa: E731 - needs no torch
    monkeypatch.setattr("flows.study.Unit", unit)
    run_trials(request, request.folder(), 1)
    assert states_of(request) == ["FAIL", "COMPLETE"]
    assert begun[0] == begun[1]


def test_a_claim_holds_as_long_as_its_holder(request_of_its_own: StudyRequest) -> None:
    request = request_of_its_own
    folder, search = request.folder(), load_search(request.search)
    trial = open_study(folder, search).ask()
    suggest(trial, search)
    with claimed(folder, trial.number):
        assert is_claimed(folder, trial.number) and not is_claimed(folder, trial.number + 1)
        prepare_study(request)
        assert states_of(request) == ["RUNNING"]
    prepare_study(request)
    assert states_of(request) == ["FAIL", "WAITING"]


def test_looking_makes_no_tables(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = database.removesuffix("optuna") + "mlflow"  # the init script makes it, and nothing is in it
    monkeypatch.setenv(VARIABLE, other)
    with pytest.raises(TrackingError, match="/mlflow: there are no tables of studies yet") as caught:
        study_storage.study_storage(tmp_path, make_tables=False)
    assert PASSWORD not in str(caught.value)
    engine = sa.create_engine(other, poolclass=NullPool)
    assert sa.inspect(engine).get_table_names() == []
    monkeypatch.setenv(VARIABLE, database)
    open_study(tmp_path, load_search(REQUEST.search))
    assert tmp_path.name in optuna.get_all_study_names(
        study_storage.study_storage(tmp_path, make_tables=False)
    )


@pytest.mark.parametrize("url", ["sqlite:///{}/study.db", "mysql://me:secret@127.0.0.1/optuna"])
def test_a_database_that_is_not_postgresql_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url.format(tmp_path))
    with pytest.raises(ParamsError, match=r"(sqlite|mysql) is not for several workers") as caught:
        open_study(tmp_path, load_search(REQUEST.search))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://mase:secret@127.0.0.1:1/optuna",
        "postgresql+psycopg://mase:sec/ret@127.0.0.1:1/optuna",
        "postgresql+psycopg://127.0.0.1:1/optuna?user=mase&password=secret",
    ],
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    named = r"MASE_STUDY_STORAGE=postgresql\+psycopg://127.0.0.1:1/optuna: .*refused"
    with pytest.raises(TrackingError, match=re.compile(named, re.DOTALL)) as caught:
        open_study(tmp_path, load_search(REQUEST.search))
    assert not re.search("secret|sec/ret", str(caught.value))
