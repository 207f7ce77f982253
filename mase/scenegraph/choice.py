"""Which parser reads the texts: the rules, the learned one, or FACTUAL's T5; and what identifies it.

Only the rules are imported here; the others need torch and are imported when they are chosen.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import get_args

from mase import artifacts
from mase.errors import ParamsError, ScenegraphError
from mase.params import ParserName
from mase.scenegraph import parser as rules
from mase.scenegraph.factual_package import CHECKPOINT, installed_version
from mase.scenegraph.graph import SceneGraph
from mase.scenegraph.tagger import WEIGHTS as TAGGER_WEIGHTS

RULES, LEARNED, FACTUAL_T5 = PARSERS = get_args(ParserName)
LEARNED_WEIGHTS = Path(__file__).parent / "learned" / "weights" / "parser.safetensors"
FACTUAL_ADAPTER = 1
"""Version of the way from FACTUAL's text to a graph; raise it when the graphs change."""

Parse = Callable[[Sequence[str]], list[SceneGraph]]


def parse_function(parser: str) -> Parse:
    """Return `parse` of the parser of this name; its weights are loaded with the first text.

    Raises:
        ParamsError: if there is no such parser.
        ScenegraphError: for factual-t5, if its package is not installed.
    """
    parser_identity(parser)
    if parser == LEARNED:
        from mase.scenegraph.learned import parse

        return parse
    if parser == FACTUAL_T5:
        from mase.scenegraph.factual_t5 import parse

        return parse
    return rules.parse


def parser_identity(parser: str) -> dict[str, str | int]:
    """Return what the graphs of the parser of this name depend on: versions, and sha256 of weights.

    Keys: `name` and `version`; `tagger`, sha256 of the tagger's weights; for learned also `rules`,
    the version of the rules whose graph it reads, and `weights`; for factual-t5 `package`, the
    version installed, and `checkpoint`. Weights are hashed once per process, and not loaded.

    Raises:
        ParamsError: if there is no such parser.
        ScenegraphError: if weights are missing, or the package of factual-t5 is not installed.
    """
    return dict(_identity(parser))


@lru_cache(maxsize=len(PARSERS))
def _identity(parser: str) -> tuple[tuple[str, str | int], ...]:
    if parser not in PARSERS:
        raise ParamsError(f"no parser is called {parser!r}; choose one of {', '.join(PARSERS)}")
    found: dict[str, str | int] = {"name": parser, "tagger": _sha256(TAGGER_WEIGHTS)}
    if parser == RULES:
        found |= {"version": rules.VERSION}
    elif parser == LEARNED:
        found |= {"rules": rules.VERSION, "version": _learned_version(), "weights": _sha256(LEARNED_WEIGHTS)}
    else:
        found |= {"version": FACTUAL_ADAPTER, "package": installed_version(), "checkpoint": CHECKPOINT}
    return tuple(found.items())


def _learned_version() -> int:
    """Return the version in the manifest beside the weights, which loading compares with the code's."""
    path = LEARNED_WEIGHTS.with_suffix(".json")
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ScenegraphError(f"{path}: no manifest of the learned parser ({cause})") from cause


def _sha256(path: Path) -> str:
    try:
        return artifacts.sha256_file(path)
    except OSError as cause:
        raise ScenegraphError(f"{path}: weights are missing ({cause.strerror})") from cause
