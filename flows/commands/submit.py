"""`mase submit`: GLUE test submissions of kept models."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.predict import unit_folder

HELP = """Write the files that GLUE's test server takes, from units that keep their model (`mase train` does).

Each unit reads its task's official test file (test.tsv; of MNLI test_matched.tsv and test_mismatched.tsv) and
writes SST-2.tsv, QNLI.tsv, MNLI-m.tsv and so on. Zip them with the sample submission's files of the tasks
that are missing (CoLA, RTE, WNLI, AX).

Example: mase submit 3f0a 91bc --data-dir ~/glue --out submission
"""


def submit(
    units: Annotated[list[str], typer.Argument(help="Units: digests, beginnings of them, or model folders.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the official files; default: where the unit's were.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("submission"),
) -> None:
    """Write test submissions; `HELP` is what the user reads."""
    folders = [unit_folder(unit) for unit in units]
    from mase.submission import submit_unit

    for folder in folders:
        for written in submit_unit(folder, out, None if data_dir is None else str(data_dir)):
            typer.echo(f"{written.path}\t{written.rows} rows")
            if written.note is not None:
                typer.echo(f"note: {written.note}", err=True)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("submit", help=HELP)(submit)
