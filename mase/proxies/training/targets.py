"""What an image tower is distilled on: CLIP's vectors of object names, and guesses for other words."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mase.proxies.training.held_out import split_names
from mase.proxies.training.lexical_teacher import LexicalTeacher
from mase.proxies.training.vectors import object_names, probe_names, synsets

LEAST_OCCURRENCES = 3  # a word of the captions is taught from so many occurrences


@dataclass(frozen=True)
class Targets:
    """Names and the centred unit vectors that they are pulled to.

    Attributes:
        names: distilled names, CLIP's own vectors.
        vectors: (names, 512) float32.
        guessed_names: other words, vectors guessed by the lexical teacher.
        guessed_vectors: (guessed names, 512) float32.
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    guessed_names: tuple[str, ...]
    guessed_vectors: np.ndarray


def frequent_words(texts: Iterable[str], least: int = LEAST_OCCURRENCES) -> list[str]:
    """Return the words of two letters or more that occur `least` times, sorted."""
    counts = Counter(word for text in texts for word in re.findall(r"[a-z]{2,}", text.lower()))
    return sorted(word for word, count in counts.items() if count >= least)


def centred(vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Subtract a mean and normalise."""
    moved = vectors - mean
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def image_targets(data_dir: Path, texts: Iterable[str], *, distil_probes: bool = False) -> Targets:
    """Return the targets of the image tower.

    The vectors of held-out and of probe names are not used. Their spellings are among the
    words that the teacher, which has not seen those vectors either, makes guesses for.

    Args:
        data_dir: folder of the data sets.
        texts: captions whose frequent words are taught too.
        distil_probes: use CLIP's vectors of probe names as well.

    Raises:
        DataError: if a file is missing or malformed.
    """
    objects = object_names(data_dir)
    distilled, _, _ = split_names(objects.names, probe_names(data_dir), distil_probes=distil_probes)
    names = tuple(name for name, use in zip(objects.names, distilled, strict=True) if use)
    raw = objects.vectors[distilled]
    vectors = centred(raw, raw.mean(axis=0)).astype(np.float32)
    others = sorted({*objects.names, *frequent_words(texts)} - set(names))
    guessed = LexicalTeacher(names, raw - raw.mean(axis=0), synsets(data_dir)).predict(others)
    known = np.asarray(guessed.any(axis=1))
    guessed_names = tuple(name for name, use in zip(others, known, strict=True) if use)
    return Targets(names, vectors, guessed_names, guessed[known])
