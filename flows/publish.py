"""Prefect artifacts of a flow run: its tables as Markdown, a link to its tracked run, its progress."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from mase.tracking.address import tracking_uri, without_credentials
from mase.tracking.mlflow_tracker import connect, store_errors


def key_of(text: str) -> str:
    """Return an artifact key: lower-case letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def publish_tables(tables: dict[str, dict[str, str]]) -> None:
    """Create a Markdown artifact per table: the table, and its report's path where the flow ran.

    A page that a server sends cannot link to a file. Where only figures are asked for, there is no table.
    """
    for name, files in tables.items():
        table = Path(files["md"]).read_text(encoding="utf-8") if "md" in files else ""
        create_markdown_artifact(
            key=key_of(f"table-{name}"),
            markdown=f"{table}\n\nReport, on the machine that made it: `{files['report']}`\n".lstrip(),
            description=name,
        )


def publish_run(run_id: str | None) -> None:
    """Create a link to the page of a tracked run, where its store is a server with pages."""
    page = run_page(run_id) if run_id else None
    if page is not None:
        create_link_artifact(key="mlflow-run", link=page, link_text="run in MLflow")


def run_page(run_id: str) -> str | None:
    """Return the address of a run's page; None for a store that is no server.

    `MASE_TRACKING_PAGES` is the server's address for browsers, where `MASE_TRACKING_URI` holds
    in a container only.
    """
    pages = without_credentials(os.environ.get("MASE_TRACKING_PAGES") or tracking_uri())
    if not pages.startswith("http"):
        return None
    with store_errors(f"run {run_id}"):
        experiment = connect().get_run(run_id).info.experiment_id
    return f"{pages.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def progress_watcher(flow_name: str) -> Callable[[int, int], None]:
    """Return what to call with (units done, units in all): it moves a progress artifact."""
    created: list[UUID] = []

    def watch(done: int, total: int) -> None:
        share = 100.0 * done / total
        if created:
            update_progress_artifact(artifact_id=created[0], progress=share)
        else:
            created.append(
                cast(UUID, create_progress_artifact(progress=share, key=key_of(f"progress-{flow_name}")))
            )

    return watch
