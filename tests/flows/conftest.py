"""What tests of the flows share: a table of two rows, and one Prefect server for the session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

TABLE = """
about: Two rows on one task.
name: tiny
title: Two rows
columns: [looks]
reference: Text only
primary: Full MASE
rows:
  - {label: Text only, group: reference, overlays: [methods/text]}
  - {label: Full MASE, group: method, overlays: [methods/mase]}
  - {label: w/o contrastive loss, group: ablation, overlays: [methods/mase, ablations/no_contrastive]}
"""


@pytest.fixture
def tiny_table(tmp_path: Path) -> str:
    """Return the path of a table of three units a seed."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Run one temporary Prefect server for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=110):
        yield
