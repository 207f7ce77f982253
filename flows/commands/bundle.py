"""`mase bundle`: units to a machine without network, and back."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, request_options

if TYPE_CHECKING:
    from flows.request import Request

app = typer.Typer(
    no_args_is_help=True,
    help="Train units on a machine without network: pack them, run them there, import what is done.",
)

LIMIT = 60.0


@app.command("pack")
@request_options.takes_request
def pack(
    out: Annotated[Path, typer.Argument(help="Archive to write.")],
    request: "Request",
    max_mib: Annotated[float, typer.Option(help="Write nothing larger than this.")] = LIMIT,
) -> None:
    """Write one archive with the units of tables that are not done, and all that they read.

    The options are those of `mase reproduce`. Unpack `mase` from the archive on the other machine and run
    `python -m mase.bundle run OUT --out DONE.tar`.
    """
    from flows.progress import Progress
    from flows.request import make_plan, unfinished
    from mase.bundle.archive import MEBIBYTE
    from mase.bundle.pack import pack as write

    units = unfinished(make_plan(request))
    if not units:
        typer.echo("all units are done; nothing to pack")
        return
    with Progress(1) as progress:
        packed = write(units, out, int(max_mib * MEBIBYTE), progress.stage)
    typer.echo(f"{out}: {len(packed.units)} units, {packed.size / MEBIBYTE:.1f} MiB")
    for label, reason in packed.left_out.items():
        typer.echo(f"  left out: {label}: {reason}")
    if packed.precision is not None:
        typer.echo(f"  training.precision auto is {packed.precision} here, and so it is there")
    typer.echo(f"there: tar xf {out.name} mase && python -m mase.bundle run {out.name} --out DONE.tar")


@app.command("import")
def import_done(
    archive: Annotated[Path, typer.Argument(help="Archive of `python -m mase.bundle run`.")],
    as_json: options.AsJson = False,
) -> None:
    """Put finished units into the store, once every file is checked; those that are done here stay."""
    from mase.bundle.importing import take_in

    found = take_in(archive)
    if as_json:
        typer.echo(json.dumps(found.__dict__, indent=1))
        return
    typer.echo(
        f"{len(found.taken)} units taken, {len(found.known)} were done already, {len(found.left)} left"
    )
    for digest, message in found.failed.items():
        typer.echo(f"  failed: {digest}: {message}")


@app.command("fp16")
def fp16(
    backbone: Annotated[str, typer.Argument(help="Language model: params/backbones/.")],
) -> None:
    """Store a language model at half its size, as a model of its own, and print the options that name it."""
    from mase.bundle.half import round_weights
    from mase.params import BackboneParams, read_named, validate

    params = validate(BackboneParams, read_named("backbones", backbone), f"backbone {backbone}")
    folder = round_weights(params, Path(backbone).stem)
    words = ["--backbone", backbone, "--set", "backbone.source=path", "--set", f"backbone.ref={folder.name}"]
    typer.echo(f"{folder}\ngive every command: {shlex.join(words)}")
