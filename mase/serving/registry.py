"""Models in MLflow: a unit's model logged to its run, registered under a name, and fetched again."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

# isort: off
from mase.tracking.mlflow_tracker import (
    MlflowTracker,
    connect,
    open_tracker,
    store_errors,
    tracking_uri,
)  # quietens MLflow: first
# isort: on

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when this is imported
    import mlflow.artifacts
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException

from mase.errors import TrackingError
from mase.prediction import model_folder
from mase.serving.pyfunc import save_model
from mase.tracking import Tracker, names

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_model(
    tracker: Tracker, folder: Path, *, register: str | None = None, alias: str | None = None
) -> str:
    """Log a unit's model to the tracker's run and return its URI; a run's model is logged once.

    Args:
        tracker: the run, in MLflow.
        folder: the unit's folder.
        register: also make it a version of this registered model.
        alias: with `register`, point this alias ("best") at the version.

    Raises:
        MissingWeightsError: if the unit has no whole model.
        TrackingError: if the tracker is not MLflow's or the store refuses.
    """
    if not isinstance(tracker, MlflowTracker):
        raise TrackingError(
            f"run {tracker.run_id} is not in MLflow, so it cannot hold a model; use save_model"
        )
    client = tracker.client
    with store_errors(f"logging the model of run {tracker.run_id}"):
        model_id = client.get_run(tracker.run_id).data.tags.get(names.MODEL_ID)
        if model_id is None:
            model_id = _log(tracker, folder)
            tracker.tags({names.MODEL_ID: model_id})
        if register is not None:
            _register(client, register, model_id, tracker.run_id, alias)
    return f"models:/{model_id}"


def register_unit(folder: Path, name: str, alias: str) -> str:
    """Make a unit's model a version of a registered model, with its run's lineage; return the version.

    The model is logged to the run that trained the unit, or to a run of its own where the store has none.

    Raises:
        MissingWeightsError: if the unit has no whole model.
        TrackingError: if the store cannot be reached or refuses.
    """
    model_folder(folder)  # before a run is opened
    client = connect()
    run = _run_of(client, folder)
    if run is not None:
        log_model(MlflowTracker(client, run, reopened=True), folder, register=name, alias=alias)
    else:
        with open_tracker(f"register {name}", tags={names.KIND: "seed"}) as tracker:
            log_model(tracker, folder, register=name, alias=alias)
    with store_errors(f"model {name!r}"):
        return str(client.get_model_version_by_alias(name, alias).version)


def _run_of(client: "MlflowClient", folder: Path) -> Run | None:
    """Return the latest run that trained the unit of a folder, None if the store knows none."""
    digest = folder.resolve().name
    with store_errors(f"runs of unit {digest}"):
        experiments = [found.experiment_id for found in client.search_experiments()]
        runs = client.search_runs(
            experiments, f"tags.`mase.unit` = '{digest}'", max_results=1, order_by=["start_time DESC"]
        )
    return runs[0] if runs else None


def fetch_model(uri: str, folder: Path) -> Path:
    """Download a logged or registered model; return its folder, for `Predictor.load` or MLflow.

    Args:
        uri: `models:/ID`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`, in `MASE_TRACKING_URI`.
        folder: an existing folder to put it in.

    Raises:
        TrackingError: if there is no such model.
    """
    client = connect()
    with store_errors(f"model {uri} in {tracking_uri()}"):
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=_location(client, uri), dst_path=str(folder), tracking_uri=tracking_uri()
        )
    return Path(path)


def _location(client: "MlflowClient", uri: str) -> str:
    """Return where a model's files are; MLflow's look-up asks the process's default store, not this one."""
    rest = uri.removeprefix("models:/")
    name, _, alias = rest.partition("@")
    name, _, number = name.partition("/")
    if alias:
        source = client.get_model_version_by_alias(name, alias).source or ""
    elif number:
        source = client.get_model_version(name, number).source or ""
    else:
        return client.get_logged_model(rest).artifact_location
    return _location(client, source) if source.startswith("models:/") else source


def _log(tracker: MlflowTracker, folder: Path) -> str:
    """Make a logged model of MLflow by its client; the fluent `log_model` would open runs of its own."""
    client = tracker.client
    entry = client.create_logged_model(
        tracker.experiment_id, "mase", source_run_id=tracker.run_id, model_type="mase"
    )
    try:
        with tempfile.TemporaryDirectory() as temporary:
            save_model(folder, Path(temporary) / "model", run_id=tracker.run_id, model_id=entry.model_id)
            client.log_model_artifacts(entry.model_id, str(Path(temporary) / "model"))
    except BaseException:
        client.finalize_logged_model(entry.model_id, "FAILED")
        raise
    client.finalize_logged_model(entry.model_id, "READY")
    client.log_outputs(tracker.run_id, [LoggedModelOutput(entry.model_id, step=0)])
    return entry.model_id


def _register(client: "MlflowClient", name: str, model_id: str, run_id: str, alias: str | None) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as cause:
        if cause.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # A database store looks models:/ID up in the process's default store, and makes one if there is none.
    remote = tracking_uri().startswith("http")
    source = f"models:/{model_id}" if remote else client.get_logged_model(model_id).artifact_location
    known = [entry for entry in client.search_model_versions(f"name = '{name}'") if entry.source == source]
    entry = known[0] if known else client.create_model_version(name, source, run_id, model_id=model_id)
    if alias is not None:
        client.set_registered_model_alias(name, alias, str(entry.version))
