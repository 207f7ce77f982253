"""Nearest neighbours of phrases among the object names that the project ships."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mase.data.embedded.lexicon import entries

if TYPE_CHECKING:
    from mase.proxies import Tower

MODALITIES = ("image", "audio", "video")


def vocabulary() -> list[str]:
    """Return the objects of the embedded tasks' lexicon, sorted."""
    return [entry.name for entry in entries()]


@st.cache_resource(show_spinner=False)
def _tower(name: str) -> tuple["Tower", np.ndarray]:
    """Return a tower and its vectors of the vocabulary, (objects, width)."""
    from mase.proxies import load_tower  # brings in torch, which no other page needs

    tower = load_tower(name)
    return tower, tower.encode(vocabulary())


def neighbours(
    modality: str, phrases: Sequence[str], count: int, random: bool
) -> dict[str, list[tuple[str, float]]]:
    """Return the nearest objects of each phrase with their cosines, the vocabulary's mean subtracted.

    Args:
        random: ask a randomly initialised tower instead of the embedded one.
    """
    tower, known = _tower(f"{'random' if random else 'embedded'}-{modality}")
    centre = known.mean(axis=0)
    similarities = _unit(tower.encode(list(phrases)) - centre) @ _unit(known - centre).T
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
    names = vocabulary()
    return {
        phrase: [(names[at], float(similarities[row, at])) for at in nearest[row]]
        for row, phrase in enumerate(phrases)
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
