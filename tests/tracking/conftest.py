"""One SQLite store for the whole folder: making its schema takes seconds."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def tracking_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home with a space")
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setenv("MASE_HOME", str(home))
        context.delenv("MASE_TRACKING_URI", raising=False)
        from mase.tracking.mlflow_tracker import connect

        started = time.perf_counter()
        connect()
        print(f"store opened in {time.perf_counter() - started:.2f} s")
    return home


@pytest.fixture
def store(tracking_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use the shared store; no test may leave an active run behind."""
    monkeypatch.setenv("MASE_HOME", str(tracking_home))
    monkeypatch.delenv("MASE_TRACKING_URI", raising=False)
    yield tracking_home
    import mlflow

    assert mlflow.active_run() is None


@pytest.fixture
def experiment() -> str:
    return f"experiment-{next(_NUMBERS)}"
