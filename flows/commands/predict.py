"""`mase predict`: what a trained unit says of texts."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options
from mase.artifacts import home
from mase.errors import DataError

if TYPE_CHECKING:
    from mase.params import Params


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


def takes_pairs(params: "Params") -> bool:
    """Tell whether a task's rows are pairs of texts."""
    sources = (params.task.files, params.task.hub)
    return any(source.columns.text_b is not None for source in sources if source is not None)


def predict(
    unit: Annotated[str, typer.Argument(help="Unit: its digest, the beginning of it, or a model folder.")],
    text: Annotated[
        list[str], typer.Option("--text", help="Text; repeatable. Give it twice for a pair task.")
    ] = [],  # noqa: B006
    file: Annotated[
        Path | None, typer.Option(help="UTF-8 file, one text per line; pairs separated by a tab.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per text.")] = False,
) -> None:
    """Predict with a trained unit: label, probabilities, allocation, entities found."""
    if bool(text) == (file is not None):
        raise DataError("give either --text or --file")
    folder = unit_folder(unit)
    from mase.prediction import Predictor

    predictor = Predictor.load(folder)
    texts_a, texts_b = _texts(text, file, takes_pairs(predictor.params))
    for index, found in enumerate(predictor.predict(texts_a, texts_b)):
        shown = [texts_a[index]] if texts_b is None else [texts_a[index], texts_b[index]]
        if as_json:
            typer.echo(json.dumps({"texts": shown, **asdict(found)}, ensure_ascii=False))
            continue
        shares = ", ".join(f"{label} {share:.3f}" for label, share in found.probabilities.items())
        typer.echo(f"{found.label}\t{' | '.join(shown)}{f'    ({shares})' if shares else ''}")


def _texts(text: list[str], file: Path | None, pairs: bool) -> tuple[list[str], list[str] | None]:
    """Return first and second texts, as the task needs them.

    Raises:
        DataError: if there are not as many as a pair task needs.
    """
    if file is None:
        if not pairs:
            return text, None
        if len(text) % 2:
            raise DataError(f"the task takes pairs: give --text twice for each, not {len(text)} times")
        return text[::2], text[1::2]
    lines = options.input_lines(file)
    if not pairs:
        return lines, None
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter="\t", quoting=csv.QUOTE_NONE))
    wrong = [number for number, row in enumerate(rows, start=1) if len(row) != 2]
    if wrong:
        raise DataError(f"{file}, line {wrong[0]}: the task takes pairs, two texts separated by a tab")
    return [row[0] for row in rows], [row[1] for row in rows]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("predict")(predict)
