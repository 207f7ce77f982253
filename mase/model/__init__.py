"""The model of Section 3: backbone, projections, graph attention, fusion, head.

What may live here: torch modules and what turns rows into their batches. No training
(that is `mase.em`), no files of runs (that is `mase.units`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mase.model.mase import MaseModel

__all__ = ["MaseModel"]


def __getattr__(name: str) -> Any:
    if name != "MaseModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mase.model.mase import MaseModel

    return MaseModel
