"""Which pictures, clips and object names no tower is trained on; the check uses these alone.

Everything is ordered by a hash of its id, so that the same rows are held out whatever else
is in the file, and no seed can be picked.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

PICTURES = 1000  # held-out pictures
NAME_SHARE = 0.2  # share of head nouns whose names are held out


def _position(kind: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{kind}/{key}".encode()).digest()[:8], "big")


def split_keys(keys: Iterable[str], kind: str, held_out: int) -> tuple[list[str], list[str]]:
    """Return (training, held-out) keys; the `held_out` first in the order of their hash are held out."""
    ordered = sorted(keys, key=lambda key: _position(kind, key))
    return ordered[held_out:], ordered[:held_out]


def split_pictures(pictures: Iterable[str], held_out: int = PICTURES) -> tuple[list[str], list[str]]:
    """Return the ids of the training and of the held-out pictures."""
    return split_keys(pictures, "picture", held_out)


def split_clips(clips: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids of the clips in halves: to train on, and held out."""
    return split_keys(clips, "clip", (len(clips) + 1) // 2)


def head_noun(name: str) -> str:
    """Return the last word of a name: "aerosol can" is a can."""
    return name.rsplit(maxsplit=1)[-1]


def split_names(
    names: Sequence[str], probes: frozenset[str], *, distil_probes: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which names are distilled, held out by head noun, and left out as probe names.

    Args:
        names: object names.
        probes: objects that a colour, shape or material probe asks for.
        distil_probes: treat probe names like any other, so that the third mask is empty.

    Returns:
        Three (names,) bool masks, which are disjoint and together hold every name.
    """
    bound = NAME_SHARE * 2**64
    held = np.array([_position("head", head_noun(name)) < bound for name in names], dtype=bool)
    probe = np.array([name in probes and not distil_probes for name in names], dtype=bool)
    return ~held & ~probe, held & ~probe, probe
