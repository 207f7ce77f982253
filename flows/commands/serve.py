"""`mase serve`: keep the flows' deployments ready to be run."""

import os
import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from flows.environment import QUIET, prefect_api_configured, prepare_prefect
from flows.server import running_server
from mase.artifacts import home
from mase.errors import ParamsError


def serve(
    port: Annotated[int, typer.Option(help="Port of the Prefect server, if none is configured.")] = 4200,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at a time.")] = 1,
    gpu_slots: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Set the server's limit `gpu`: trainings on GPUs at a time, over all machines.",
            show_default="as it is, or one per GPU of this machine",
        ),
    ] = None,
    work_pool: Annotated[
        str | None,
        typer.Option(help="Deploy prefect.yaml to this pool of a configured server, and work for the pool."),
    ] = None,
) -> None:
    """Serve the deployments mase-paper, mase-ablations, mase-train and mase-tune.

    With PREFECT_API_URL (or a Prefect profile that has one) they are served to that server;
    without, a server of our own runs as long as this command does. Several machines may serve one
    --work-pool; without it, one machine serves a deployment.
    """
    os.environ["MASE_HOME"] = str(home())  # flow runs start in folders of their own
    if os.environ.get("PREFECT_LOGGING_LEVEL") == QUIET["PREFECT_LOGGING_LEVEL"]:
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
    os.environ.setdefault("PREFECT_LOGGING_LOG_PRINTS", "true")
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "60")
    prepare_prefect()
    if work_pool is not None:
        raise typer.Exit(_work_for(work_pool, limit, gpu_slots))
    with nullcontext() if prefect_api_configured() else running_server(port) as url:
        if url is not None:
            os.environ["PREFECT_API_URL"] = url
            typer.echo(f"Prefect server: {url.removesuffix('/api')}")
        from flows.server_setup import set_up_server
        from flows.worker import run_worker

        set_up_server(gpu_slots)
        code = run_worker([sys.executable, "-m", "flows.deployments", str(limit)])
    raise typer.Exit(code)


def _work_for(work_pool: str, limit: int, gpu_slots: int | None) -> int:
    """Work for a pool, after the server has all that it needs."""
    if not prefect_api_configured():
        raise ParamsError("--work-pool needs a server that stays: set PREFECT_API_URL")
    from flows.server_setup import deploy, set_up_server
    from flows.worker import pool_worker, run_worker

    set_up_server(gpu_slots)
    deploy(work_pool)
    typer.echo(f"working for the pool {work_pool}; run a deployment with:")
    typer.echo("  prefect deployment run mase-ablations/mase-ablations --watch")
    sys.stdout.flush()
    return run_worker(pool_worker(work_pool, limit))


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("serve")(serve)
