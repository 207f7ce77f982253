"""`mase predict`: what a trained unit says of texts."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import options
from mase.artifacts import home
from mase.errors import DataError


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


def predict(
    unit: Annotated[str, typer.Argument(help="Unit: its digest, the beginning of it, or a model folder.")],
    text: Annotated[
        list[str],
        typer.Option("--text", help="Text; repeatable. Twice for a pair task; a question, then its choices."),
    ] = [],  # noqa: B006
    file: Annotated[
        Path | None, typer.Option(help="UTF-8 file, one row per line; its texts separated by tabs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per text.")] = False,
) -> None:
    """Predict with a trained unit: label, probabilities, allocation, entities found."""
    if bool(text) == (file is not None):
        raise DataError("give either --text or --file")
    folder = unit_folder(unit)
    from mase.prediction import Predictor

    predictor = Predictor.load(folder)
    each = predictor.params.second_texts
    texts_a, texts_b = _texts(text, file, each)
    for index, found in enumerate(predictor.predict(texts_a, texts_b)):
        shown = [texts_a[index], *(texts_b or [])[index * each : (index + 1) * each]]
        if as_json:
            typer.echo(json.dumps({"texts": shown, **asdict(found)}, ensure_ascii=False))
            continue
        shares = ", ".join(f"{label} {share:.3f}" for label, share in found.probabilities.items())
        typer.echo(f"{found.label}\t{' | '.join(shown)}{f'    ({shares})' if shares else ''}")


def _texts(text: list[str], file: Path | None, each: int) -> tuple[list[str], list[str] | None]:
    """Return first texts and, `each` of them to a first, second ones, as the task needs them.

    Raises:
        DataError: if there are not as many as the task needs.
    """
    if file is None:
        if len(text) % (each + 1):
            raise DataError(f"the task takes {each + 1} texts: repeat --text for each, not {len(text)} times")
        rows = [text[i : i + each + 1] for i in range(0, len(text), each + 1)]
    elif not each:
        rows = [[line] for line in options.input_lines(file)]
    else:
        lines = "\n".join(options.input_lines(file))
        rows = list(csv.reader(io.StringIO(lines), delimiter="\t", quoting=csv.QUOTE_NONE))
        wrong = [number for number, row in enumerate(rows, start=1) if len(row) != each + 1]
        if wrong:
            raise DataError(f"{file}, line {wrong[0]}: the task takes {each + 1} texts, separated by tabs")
    return [row[0] for row in rows], [second for row in rows for second in row[1:]] if each else None


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("predict")(predict)
