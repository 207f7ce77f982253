"""Figure 5 (b): a run's proxies of names that a user has real vectors of, and two placebos."""

from pathlib import Path

import numpy as np

from mase.evaluation.plots import FigureFiles
from mase.evaluation.real_vectors import RealVectors, agreement, clusters, read_folder, sampled
from mase.evaluation.real_vectors_plot import figure5_vectors, vectors_caption
from mase.modalities import Modality
from mase.params import Params
from mase.proxies import build_tower
from mase.proxies.checking.names import character_ngrams
from mase.proxies.checking.twin import random_twin

STAND_IN = (
    " The tower {name} is a stand-in of this project, not {modality} knowledge: {note} The embedded image "
    "tower was also trained on CLIP's vectors of 538 object names, so with CLIP's vectors it agrees in part "
    "because of that; its card (mase/proxies/weights/README.md) has the agreement on names held out."
)


def compare_vectors(
    params: Params, folder: Path, into: Path, name: str
) -> list[tuple[str, FigureFiles, str]]:
    """Draw every set of vectors of a folder beside the proxies of the same names.

    The proxies are of the run's tower for what the vectors are of, with the prompt that it gives entity
    phrases. Placebos: a random tower of the same shape, and the names' spelling (TF-IDF of character
    n-grams), since names that are spelt alike often mean alike.

    Args:
        folder: see `mase.evaluation.real_vectors`.
        into, name: where files go, and what their names begin with.

    Returns:
        For each set its name, its files and its caption.

    Raises:
        DataError: if the folder has no vectors, or a file is broken.
        MissingWeightsError: if the tower is missing.
    """
    drawn = []
    for given in map(sampled, read_folder(folder)):
        tower_params = params.towers[_modality(given)]
        tower = build_tower(tower_params, params.seed)
        texts = [tower_params.entity_prompt.format(thing) for thing in given.names]
        colours = clusters(given)
        everything = np.ones(len(given.names), dtype=bool)
        vectors = [
            (f"proxies: {tower_params.name}", tower.encode(texts)),
            ("placebo: random tower", random_twin(tower).encode(texts)),
            ("placebo: spelling alone", character_ngrams(given.names, everything)),
        ]
        proxies = [
            (agreement(of, given, np.asarray(v, np.float64), colours), np.asarray(v)) for of, v in vectors
        ]
        files = figure5_vectors(given, colours, proxies, into, f"{name}-{given.source}")
        about = {"name": tower_params.name, "modality": tower_params.modality, "note": tower_params.note}
        drawn.append(
            (given.source, files, vectors_caption(given) + STAND_IN.format(**about) * tower_params.stand_in)
        )
    return drawn


def _modality(given: RealVectors) -> Modality:
    """Return whose tower is asked: that of what the vectors are of; the image tower if nothing is said."""
    return given.kind if given.kind in ("audio", "video") else "image"
