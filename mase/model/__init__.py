"""The model of Section 3: backbone, projections, graph attention, fusion, head.

What may live here: torch modules and what turns rows into their batches. No training
(that is `mase.em`), no files of runs (that is `mase.units`).
"""

from importlib import import_module
from typing import Any

_LAZY = {
    "load_pretrained": "pretrained",
    "save_pretrained": "pretrained",
    "predict_texts": "pretrained",
    "MaseModel": "mase",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
