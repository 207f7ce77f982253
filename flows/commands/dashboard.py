"""`mase dashboard`: the pages over the tracking store, in a browser."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mase.artifacts import home
from mase.errors import ParamsError

STOP_SECONDS = 10


def dashboard(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets others in, and there is no password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
) -> None:
    """Show runs, tables, allocations, scene graphs, studies and cost in a browser, until stopped.

    Reads MASE_HOME and MASE_TRACKING_URI; writes nothing.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ParamsError("the dashboard needs Streamlit: pip install 'mase[dashboard]'")
    typer.echo(f"Dashboard: http://{'localhost' if host == '0.0.0.0' else host}:{port} over {home()}")
    code = run_until_stopped(server_command(host, port), server_environment())
    if code:
        raise typer.Exit(code)


def server_command(host: str, port: int) -> list[str]:
    """Return the command line of the server, in this interpreter."""
    return [sys.executable, "-m", "dashboards", f"--server.address={host}", f"--server.port={port}"]


def server_environment() -> dict[str, str]:
    """Return this environment, with the folder that holds the pages first on Python's path.

    It is the checkout's top folder, or site-packages where the wheel is installed.
    """
    folder = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "MASE_HOME": str(home()), "PYTHONPATH": path}


def run_until_stopped(command: list[str], environment: dict[str, str]) -> int:
    """Run a server in the foreground and return its exit code; stopping this process stops it."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("dashboard")(dashboard)
