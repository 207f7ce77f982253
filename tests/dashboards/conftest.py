"""One empty store for the folder, since making MLflow's tables takes seconds; homes are copies of it."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with MLflow's tables and the experiment, and no run."""
    home = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(home))
        patch.delenv("MASE_TRACKING_URI", raising=False)
        from mase.tracking.mlflow_tracker import connect, experiment_id

        assert experiment_id(connect(), "mase") == "1"
    return home / "mlflow.db"


@pytest.fixture
def store(empty_store: Path, mase_home: Path) -> Path:
    """Return this test's own store, empty."""
    mase_home.mkdir()
    return Path(shutil.copy(empty_store, mase_home / "mlflow.db"))
