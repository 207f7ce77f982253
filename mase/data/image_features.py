"""Image features of sentences from a user's npz file.

texts     (n,)   sentences, as the task's files have them
features  (n, d) what an image encoder says of the image of each sentence, any float type
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mase.data.named_vectors import given_file, read_npz
from mase.errors import DataError


@dataclass(frozen=True)
class ImageFeatures:
    """Features by sentence: (n, d) float32, and the row of each sentence."""

    path: Path
    features: np.ndarray
    index: dict[str, int]

    def rows(self, texts: tuple[str, ...]) -> np.ndarray:
        """Return the features of sentences, (len(texts), d).

        Raises:
            DataError: if the file lacks one.
        """
        missing = sorted({text for text in texts if text not in self.index})
        if missing:
            raise DataError(
                f"{self.path} has no features of {len(missing)} sentences, the first of them {missing[0]!r}; "
                "add them, or leave iace.features empty for the image tower's proxies"
            )
        return self.features[[self.index[text] for text in texts]]


def read_image_features(name: str) -> ImageFeatures:
    """Read a feature file.

    Raises:
        DataError: if it is not there, lacks an array, or the arrays do not fit together.
    """
    path = given_file(name, "iace.features")
    texts, features = read_npz(path, "texts", "features")
    return ImageFeatures(path, features.astype(np.float32), {text: i for i, text in enumerate(texts)})
