"""Image features of sentences from a user's npz file.

texts     (n,)   sentences, as the task's files have them
features  (n, d) what an image encoder says of the image of each sentence, any float type
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mase.errors import DataError


def feature_path(name: str) -> Path:
    """Return the path of a feature file.

    Raises:
        DataError: if there is no such file.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(
            f"iace.features: {path} is not there; give an npz file with texts (n,) and features (n, d)"
        )
    return path


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
    path = feature_path(name)
    try:
        with np.load(path, allow_pickle=False) as found:
            texts, features = found["texts"], found["features"]
    except (OSError, ValueError, KeyError) as cause:
        raise DataError(
            f"{path}: expected an npz file with texts (n,) and features (n, d): {cause}"
        ) from cause
    if texts.ndim != 1 or features.ndim != 2 or len(texts) != len(features) or not len(texts):
        raise DataError(
            f"{path}: texts {texts.shape} and features {features.shape}; expected (n,) and (n, d), n above 0"
        )
    if not np.isfinite(features).all():
        raise DataError(f"{path}: features hold numbers that are not finite")
    return ImageFeatures(path, features.astype(np.float32), {str(text): i for i, text in enumerate(texts)})
