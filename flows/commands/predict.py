"""`mase predict`: what a trained model says of texts; `mase register`: give a model a name."""

import json
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mase.artifacts import home
from mase.errors import DataError

if TYPE_CHECKING:
    from mase.prediction import Prediction, Predictor
    from mase.prediction_files import Texts

REGISTERED = "models:/"


def unit_folder(name: str) -> Path:
    """Return the folder that a digest, the beginning of one, or a path means.

    Raises:
        DataError: if nothing, or more than one unit, is meant.
    """
    if Path(name).is_dir():
        return Path(name)
    units = home() / "units"
    found = sorted(path for path in units.glob(f"{name}*") if path.is_dir()) if name.isalnum() else []
    if len(found) != 1:
        problem = "no unit or folder" if not found else f"{len(found)} units begin with"
        raise DataError(f"{problem} {name!r}; looked in {units}. `mase train` prints a unit's folder")
    return found[0]


@contextmanager
def model_folder_of(name: str) -> Iterator[Path]:
    """Give the folder of a unit or, fetched for as long as it is used, of a registered model.

    Raises:
        DataError: if no unit is meant.
        TrackingError: if there is no such registered model.
    """
    if not name.startswith(REGISTERED):
        yield unit_folder(name)
        return
    from mase.serving.registry import fetch_model  # brings in MLflow's model machinery

    with tempfile.TemporaryDirectory() as folder:
        yield fetch_model(name, Path(folder))


def predict(
    unit: Annotated[
        str,
        typer.Argument(
            help="Unit: its digest, the beginning of it, or a model folder; or models:/NAME@ALIAS."
        ),
    ],
    text: Annotated[
        list[str],
        typer.Option("--text", help="Text; repeatable. Twice for a pair task; a question, then its choices."),
    ] = [],  # noqa: B006
    file: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 file: .csv, .jsonl, .parquet with the task's columns; any other has one row per "
            "line, its texts separated by tabs."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write one JSON object per row to this file; needs --file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per row.")] = False,
) -> None:
    """Predict with a trained model: label, probabilities, allocation, entities found."""
    if bool(text) == (file is not None):
        raise DataError("give either --text or --file")
    if out is not None and file is None:
        raise DataError("--out goes with --file")
    with model_folder_of(unit) as folder:
        from mase.prediction import Predictor

        predictor = Predictor.load(folder)
        if file is None:
            texts = _given(text, predictor.params.second_texts)
            for index, found in enumerate(predictor.predict(texts.first, texts.second)):
                typer.echo(_line(texts.row(index), found, as_json))
            return
        _predict_file(predictor, file, out, as_json)


def _given(text: list[str], each: int) -> "Texts":
    from mase.prediction_files import Texts

    if len(text) % (each + 1):
        raise DataError(f"the task takes {each + 1} texts: repeat --text for each, not {len(text)} times")
    return Texts.of_rows([text[i : i + each + 1] for i in range(0, len(text), each + 1)], each)


def _predict_file(predictor: "Predictor", file: Path, out: Path | None, as_json: bool) -> None:
    """Predict the rows of a file a part at a time, each written as soon as it is known."""
    from flows.progress import Progress
    from mase.prediction import PART_ROWS
    from mase.prediction_files import read_texts

    texts, done = read_texts(file, predictor.params), 0
    parts = -(-len(texts) // PART_ROWS)
    with _output(out) as stream, Progress(parts) as progress:
        for part in predictor.predict_parts(texts.first, texts.second):
            progress.start(f"rows {done + 1} to {done + len(part)} of {len(texts)}")
            for found in part:
                line = _line(texts.row(done), found, as_json or out is not None)
                typer.echo(line, file=stream)
                done += 1
            progress.finish("predicted")
    if out is not None:
        typer.echo(f"{done} rows in {out}")


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO | None]:
    """Give a stream to write to, None for the terminal; a file appears under its name once it is whole."""
    if out is None:
        yield None
        return
    part = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stream = part.open("w", encoding="utf-8")
    except OSError as cause:
        raise DataError(f"{out}: cannot be written there: {cause.strerror}") from cause
    with stream:
        yield stream
    os.replace(part, out)


def _line(texts: list[str], found: "Prediction", as_json: bool) -> str:
    if as_json:
        return json.dumps({"texts": texts, **asdict(found)}, ensure_ascii=False)
    shares = ", ".join(f"{label} {share:.3f}" for label, share in found.probabilities.items())
    return f"{found.label}\t{' | '.join(texts)}{f'    ({shares})' if shares else ''}"


def register_model(
    unit: Annotated[str, typer.Argument(help="Unit: its digest, the beginning of it, or its folder.")],
    name: Annotated[str, typer.Argument(help="Name of the registered model in MLflow.")],
    alias: Annotated[str, typer.Option(help="Alias that shall point at this version.")] = "best",
) -> None:
    """Register a trained unit's model in MLflow, to be served and to be named as models:/NAME@ALIAS."""
    folder = unit_folder(unit)
    from mase.serving.registry import register_unit  # brings in MLflow's model machinery
    from mase.tracking.mlflow_tracker import tracking_uri

    version = register_unit(folder, name, alias)
    typer.echo(f"{REGISTERED}{name}@{alias} is version {version}")
    store = '"$MASE_TRACKING_URI"' if os.environ.get("MASE_TRACKING_URI") else shlex.quote(tracking_uri())
    serve = shlex.join(["mlflow", "models", "serve", "-m", f"{REGISTERED}{name}@{alias}"])
    typer.echo(f"MLFLOW_TRACKING_URI={store} {serve} --env-manager local --port 5001")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("predict")(predict)
    app.command("register")(register_model)
