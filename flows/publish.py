"""Prefect artifacts of a flow run: its tables as Markdown, links to its reports, its progress."""

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


def key_of(text: str) -> str:
    """Return an artifact key: lower-case letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def publish_tables(tables: dict[str, dict[str, str]]) -> None:
    """Create a Markdown artifact per table that is shown, and a link to each one's report."""
    for name, files in tables.items():
        if "md" in files:  # where only figures are asked for, there is none
            create_markdown_artifact(
                key=key_of(f"table-{name}"),
                markdown=Path(files["md"]).read_text(encoding="utf-8"),
                description=name,
            )
        create_link_artifact(
            key=key_of(f"report-{name}"), link=Path(files["report"]).as_uri(), link_text=f"report of {name}"
        )


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
