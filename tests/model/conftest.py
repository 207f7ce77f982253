"""One tiny checkpoint of each backbone family, saved once for the whole folder."""

from collections.abc import Callable

import pytest

from mase.params import BackboneParams
from tests.tiny_backbones import save_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BackboneParams]:
    """Return a maker of params whose `ref` is a family's saved checkpoint; treat it as read-only."""
    saved: dict[str, BackboneParams] = {}

    def of(family: str) -> BackboneParams:
        if family not in saved:
            saved[family] = save_checkpoint(family, tmp_path_factory.mktemp(family))
        return saved[family]

    return of
