"""`mase doctor`: is this machine ready, and what to do where it is not."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from flows.commands import options

if TYPE_CHECKING:
    from pathlib import Path

    from mase.doctor import Check

SIGNS = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}
COLOURS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "problem": typer.colors.RED}


def doctor(
    profile: options.Profile = "demo",
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Check versions, threads, accelerator, disk, stores, towers and data; say what to do.

    Nothing is changed, fetched or started. Exit code 1 if there is a problem, 0 otherwise.
    """
    from mase.doctor import worst

    checks = every_check(profile, data_dir)
    status = worst(checks)
    if as_json:
        typer.echo(json.dumps({"status": status, "checks": [asdict(c) for c in checks]}, indent=1))
    else:
        _show(checks)
    raise typer.Exit(1 if status == "problem" else 0)


def every_check(profile: str, data_dir: "Path | None") -> "list[Check]":
    """Return all checks, those of the packages first: the others may need them.

    Raises:
        ParamsError: if there is no such profile.
    """
    from mase.doctor.versions import check_versions

    checks = check_versions()
    if any(check.found == "not installed" and check.status == "problem" for check in checks):
        return checks
    from flows.prefect_check import check_prefect
    from mase.doctor.inputs import check_data, check_models
    from mase.doctor.machine import check_machine
    from mase.doctor.store import check_store

    return [
        *checks,
        *check_machine(),
        check_store(),
        check_prefect(),
        *check_models(profile),
        *check_data(data_dir),
    ]


def _show(checks: "Sequence[Check]") -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        typer.secho(SIGNS[check.status], fg=COLOURS[check.status], nl=False)
        typer.echo(f"{check.name:<{width}}  {check.found}")
        if check.remedy:
            typer.echo(f"{'':8}{'':<{width}}  -> {check.remedy}")
    counts = {status: sum(check.status == status for check in checks) for status in SIGNS}
    typer.echo(f"{counts['problem']} problems, {counts['warning']} warnings, {counts['ok']} ok")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("doctor")(doctor)
