"""MASE: multimodal knowledge for language models without images, and whether it helped.

The science of the project; it runs from a plain script and imports neither Prefect nor
Optuna. Start at `mase.em.loop` (Algorithm 1), `mase.model.mase` (Figure 3) or
`mase.units` (one training run).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mase.params import load_params
    from mase.prediction import Predictor, predict
    from mase.units import Unit, train

__version__ = "0.1.0"

_PUBLIC = {
    "load_params": "mase.params",
    "Unit": "mase.units",
    "train": "mase.units",
    "Predictor": "mase.prediction",
    "predict": "mase.prediction",
}
__all__ = ["Predictor", "Unit", "__version__", "load_params", "predict", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
