"""One tiny checkpoint of each backbone family, saved once for the whole folder."""

from collections.abc import Callable

import pytest

from mase.params import BackboneParams
from tests.tiny_backbones import checkpoint_maker


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BackboneParams]:
    """Return a maker of params whose `ref` is a family's saved checkpoint; treat it as read-only."""
    return checkpoint_maker(tmp_path_factory.mktemp)
