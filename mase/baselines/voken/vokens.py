"""Vokens: for each token, in its context, the nearest image of a table.

Reading of the paper: a matching model between tokens in context (BERT) and images (ResNeXt) was trained on
captions there. Here the image tower's space serves, in which texts and images are already near: a token's
context is its word with two words on either side, and its voken the nearest table entry by cosine, both
sides less their mean (what all texts share says nothing). The table is a user's folder with `vectors.npy`
(V, d), image vectors in the tower's space; without one each of V pictures has the mean vector of its
captions as a stand-in, and such a run has seen no picture. As in the original (images of Visual Genome that
are not in COCO), no picture of the table has a caption among those that are learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mase import seeds
from mase.data.coco import read_coco
from mase.data.nouns import WORD
from mase.errors import DataError
from mase.model.features import unit
from mase.proxies.tower import Tower

BESIDE = 2  # words of context on either side
VECTORS = "vectors.npy"
CHUNK = 4096


@dataclass(frozen=True)
class Captions:
    """Captions to learn from, and the captions of each picture of the stand-in table."""

    texts: tuple[str, ...]
    pictures: tuple[tuple[str, ...], ...]


def read_captions(path: Path, *, captions: int, pictures: int, seed: int) -> Captions:
    """Draw captions of some pictures, and other pictures with all their captions.

    Raises:
        DataError: if the file is no captions file of COCO, or has too few pictures.
    """
    by_picture: dict[str, list[str]] = {}
    for _, record in read_coco(path, ()):
        by_picture.setdefault(str(record.get("image_id")), []).append(
            " ".join(str(record["caption"]).split())
        )
    names = sorted(by_picture)
    if len(names) <= pictures:
        raise DataError(f"{path} has {len(names)} pictures; the table alone takes {pictures}, lower --vokens")
    order = seeds.numpy_generator(seed, "voken/pictures").permutation(len(names))
    learned = [text for i in order[pictures:] for text in by_picture[names[i]]]
    chosen = seeds.numpy_generator(seed, "voken/captions").permutation(len(learned))[:captions]
    table = tuple(tuple(by_picture[names[i]]) for i in order[:pictures])
    return Captions(tuple(learned[i] for i in sorted(chosen)), table)


@dataclass(frozen=True)
class VokenTable:
    """V unit vectors, less their mean; `stand_in` where they are of captions instead of pictures."""

    vectors: Float[np.ndarray, "V d"]
    stand_in: bool

    def nearest(self, contexts: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n"]:
        """Return the nearest entry of each context, less the contexts' mean."""
        centred = unit(contexts - contexts.mean(0))
        parts = [centred[i : i + CHUNK] @ self.vectors.T for i in range(0, len(centred), CHUNK)]
        return np.concatenate([part.argmax(1) for part in parts])


def voken_table(tower: Tower, captions: Captions, folder: Path | None) -> VokenTable:
    """Return the table of a user's folder, or the stand-in of captions.

    Raises:
        DataError: if the folder has no vectors, or they are not as wide as the tower's.
    """
    if folder is None:
        texts = [text for picture in captions.pictures for text in picture]
        starts = np.cumsum([0, *(len(picture) for picture in captions.pictures)])[:-1]
        sizes = np.array([len(picture) for picture in captions.pictures])
        vectors = np.add.reduceat(unit(tower.encode(texts)), starts, axis=0) / sizes[:, None]
    else:
        path = folder / VECTORS
        if not path.is_file():
            raise DataError(
                f"{path} is not there; expected image vectors (V, d) in the space of the image tower"
            )
        vectors = np.load(path, allow_pickle=False)
        if vectors.ndim != 2 or vectors.shape[1] != tower.width or len(vectors) < 2:
            raise DataError(
                f"{path} holds {vectors.shape}; tower {tower.name} needs (V, {tower.width}), V above 1"
            )
        vectors = unit(vectors)
    return VokenTable(unit(vectors - vectors.mean(0)), folder is None)


def contexts_of(text: str) -> list[tuple[tuple[int, int], str]]:
    """Return each word's place in a text, (start, end), and the word with its neighbours."""
    words = [match.span() for match in WORD.finditer(text)]
    return [
        (span, text[words[max(0, i - BESIDE)][0] : words[min(len(words) - 1, i + BESIDE)][1]])
        for i, span in enumerate(words)
    ]


def vokenise(
    tower: Tower, table: VokenTable, texts: Sequence[str]
) -> list[list[tuple[tuple[int, int], int]]]:
    """Return the words of each text, as places in it, with their vokens."""
    found = [contexts_of(text) for text in texts]
    contexts = sorted({context for words in found for _, context in words})
    if not contexts:
        raise DataError("the captions hold no words")
    vokens = dict(zip(contexts, table.nearest(unit(tower.encode(contexts))).tolist(), strict=True))
    return [[(span, vokens[context]) for span, context in words] for words in found]
