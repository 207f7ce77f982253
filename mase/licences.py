"""What may be done with the weights that a run used: terms of each, and where they are written.

Weights are statistics of the data that they were trained on, so they have terms beside the code's
MIT licence. This room reads the terms of the shipped weights from the files beside them; of weights
that a user brings it can only say whose they are.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mase.params import BackboneParams, Params, TowerParams
from mase.proxies.locate import PACKAGED

PACKAGE = Path(__file__).parent
TAGGER = PACKAGE / "scenegraph" / "weights"
PARSER = PACKAGE / "scenegraph" / "learned" / "weights"
CODE_LICENCE = "MIT"


@dataclass(frozen=True)
class Terms:
    """Terms of one set of weights.

    Attributes:
        weights: what they are, in words.
        terms: the licence, or what their use is restricted to.
        trained_on: each data set with its licence, as far as it is known here.
    """

    weights: str
    terms: str
    trained_on: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the terms in one line."""
        data = f"; trained on {'; '.join(self.trained_on)}" if self.trained_on else ""
        return f"{self.weights}: {self.terms}{data}"


def terms_in_use(params: Params) -> list[Terms]:
    """Return the terms of all weights that a run of these params reads, each once."""
    found = [_of_backbone(params.backbone)] if params.method != "mc_ptm" else []
    found += [_of_tower(params.towers[m]) for m in params.modalities if m != "text" and m in params.towers]
    if params.graph is not None:
        found += _of_parser(params.graph.parser)
    return list(dict.fromkeys(found))


def _of_package(name: str, what: str) -> Terms:
    try:
        about = metadata.metadata(name.replace("_", "-")).json
    except metadata.PackageNotFoundError:
        return Terms(what, f"package {name} is not installed here, its licence is unknown")
    stated = about.get("license_expression") or about.get("license")
    return Terms(what, f"{stated or 'no licence stated'}, by the metadata of package {name}")


def _of_backbone(params: BackboneParams) -> Terms:
    what = f"language model {params.name}"
    if params.source == "package":
        return _of_package(params.ref, what)
    if params.source == "random":
        return Terms(what, "drawn at random, no terms")
    place = "the hub" if params.source == "hub" else "a folder"
    return Terms(what, f"{params.ref} of {place}; the terms of its publisher")


def _of_tower(params: TowerParams) -> Terms:
    what = f"{params.modality} tower {params.name}"
    if params.format == "random":
        return Terms(what, "drawn at random, no terms")
    if params.format == "sentence_encoder":
        return _of_package(params.ref, what)
    if params.ref.startswith(PACKAGED):
        return _of_shipped(what, PACKAGE / params.ref.removeprefix(PACKAGED))
    return Terms(what, f"{params.ref}; the terms of its publisher")


def _of_shipped(what: str, weights: Path) -> Terms:
    """Return what the manifest beside a shipped tower says."""
    manifest = json.loads(weights.with_suffix(".manifest.json").read_text(encoding="utf-8"))
    data = sorted(f"{entry['title']} ({entry['licence']})" for entry in manifest["data"].values())
    return Terms(what, manifest["use"].partition(";")[0], tuple(data))


def _of_parser(parser: str) -> Iterator[Terms]:
    tagger = json.loads((TAGGER / "tagger.json").read_text(encoding="utf-8"))
    yield Terms("part-of-speech tagger", tagger["licence"], ("UD English EWT (CC BY-SA 4.0)",))
    if parser == "learned":
        yield Terms(
            "scene-graph parser",
            "use with the attribution that its data ask for (see LICENCE.md)",
            ("FACTUAL (no licence file, MIT badge) on captions of Visual Genome (CC BY 4.0)",),
        )
    if parser == "factual-t5":
        yield Terms("scene-graph parser FACTUAL-T5", "the terms of its publisher")
