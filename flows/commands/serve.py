"""`mase serve`: keep the flows' deployments ready to be run."""

import os
from contextlib import nullcontext
from typing import Annotated

import typer

from flows.environment import QUIET, prefect_api_configured, prepare_prefect
from flows.server import running_server
from mase.artifacts import home


def serve(
    port: Annotated[int, typer.Option(help="Port of the Prefect server, if none is configured.")] = 4200,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at a time.")] = 1,
) -> None:
    """Serve the deployments mase-paper, mase-ablations, mase-train and mase-tune.

    With PREFECT_API_URL (or a Prefect profile that has one) they are served to that server;
    without, a server of our own runs as long as this command does.
    """
    os.environ["MASE_HOME"] = str(home())  # flow runs start in folders of their own
    if os.environ.get("PREFECT_LOGGING_LEVEL") == QUIET["PREFECT_LOGGING_LEVEL"]:
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
    os.environ.setdefault("PREFECT_LOGGING_LOG_PRINTS", "true")
    prepare_prefect()
    with nullcontext() if prefect_api_configured() else running_server(port) as url:
        if url is not None:
            os.environ["PREFECT_API_URL"] = url
            typer.echo(f"Prefect server: {url.removesuffix('/api')}")
        from flows.deployments import serve_all

        serve_all(limit)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("serve")(serve)
