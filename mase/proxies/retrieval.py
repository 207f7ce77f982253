"""Retrieved images in a tower's place: the paper's "+Image" row, and any method on real pictures.

A text is read by a CLIP text tower, the k images of the user's gallery with the largest cosine are found, and
the mean of their vectors of length one is the text's proxy. Text and images are read by the same OpenCLIP
model; a feature file must come from it, which nobody can check but its width.

Reading of the paper: its images come from Bing, whose search is a paid service. Nothing is fetched here: the
user supplies the images (Z-LaVI, too, takes the mean over an option's images). k is not published.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mase.artifacts import sha256_file
from mase.errors import CheckpointFormatError, ParamsError
from mase.params import RetrievalParams, TowerParams
from mase.proxies.image_index import INDEXES, Gallery, encode_folder, gallery_place, read_features
from mase.proxies.locate import find_checkpoint, is_plain
from mase.proxies.open_clip_text import open_clip_model
from mase.proxies.tower import Encoding, LimitedTower


@dataclass(frozen=True)
class Retrieved:
    """An image that a text found, and the cosine between the two."""

    name: str
    cosine: float


class RetrievalTower:
    """The mean of a text's nearest images; it has the interface of `mase.proxies.tower.LimitedTower`.

    Args:
        params: of the tower; its block `retrieval` says where the images are and how many count.
        text: the text side of the same OpenCLIP model.

    Raises:
        ParamsError: if there are fewer images than neighbours.
        MissingWeightsError, CheckpointFormatError: if the images, or the model, cannot be read.
    """

    def __init__(self, params: TowerParams, text: LimitedTower) -> None:
        assert params.retrieval is not None
        self.name, self.modality, self.width = params.name, str(params.modality), params.output_width
        self.text, self.context_length, self.neighbours = (
            text,
            text.context_length,
            params.retrieval.neighbours,
        )
        self.gallery = _gallery(params, params.retrieval)
        if self.neighbours > len(self.gallery.names):
            raise ParamsError(
                f"tower {params.name}: retrieval.neighbours: {self.neighbours}, but "
                f"{params.retrieval.images} has {len(self.gallery.names)} images"
            )
        self.index = INDEXES[params.retrieval.search](self.gallery.vectors)
        settings = f"{self.neighbours}/{params.retrieval.search}/{text.digest}/{self.gallery.digest}"
        self.digest = hashlib.sha256(settings.encode()).hexdigest()[:20]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector per text, (texts, width) float32, not normalised."""
        return self.encode_checked(texts).vectors

    def encode_checked(self, texts: Sequence[str]) -> Encoding:
        """Return the vectors of `encode`, and which texts were cut to the context length."""
        if not texts:
            return Encoding(np.zeros((0, self.width), np.float32), np.zeros(0, dtype=bool))
        queries = self.text.encode_checked(texts)
        nearest = self.index.search(_of_length_one(queries.vectors), self.neighbours)
        return Encoding(self.gallery.vectors[nearest].mean(1), queries.truncated)

    def fits(self, text: str) -> bool:
        """Whether the whole text is read."""
        return self.text.fits(text)

    def retrieve(self, texts: Sequence[str]) -> list[list[Retrieved]]:
        """Return the images that each text finds, best first."""
        queries = _of_length_one(self.text.encode(texts))
        nearest = self.index.search(queries, self.neighbours)
        return [
            [Retrieved(self.gallery.names[i], float(query @ self.gallery.vectors[i])) for i in images]
            for query, images in zip(queries, nearest, strict=True)
        ]


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _gallery(params: TowerParams, retrieval: RetrievalParams) -> Gallery:
    place = gallery_place(params, retrieval.images)
    if place.is_file():
        return read_features(params, place)
    reader = ImageReader(params, find_checkpoint(params))
    return encode_folder(params, place, reader.digest, reader.encode)


class ImageReader:
    """The image side of an OpenCLIP model, built when there is an image to read.

    Args:
        params: `ref` names the model.
        path: its weights.
    """

    def __init__(self, params: TowerParams, path: Path) -> None:
        self.params, self.path = params, path
        self.digest = f"{params.ref}/{params.activation}/{self._tag()}/{sha256_file(path)}"
        self._loaded: tuple[Any, Any] | None = None

    def encode(self, files: Sequence[Path]) -> np.ndarray:
        """Return the vectors of image files, (images, width) float32.

        Raises:
            CheckpointFormatError: if the model cannot be read, or an image cannot.
        """
        model, transform = self._load()
        device = next(model.parameters()).device
        pixels = torch.stack([transform(_opened(path)) for path in files]).to(device)
        with torch.inference_mode():
            return model.encode_image(pixels).float().cpu().numpy()

    def _tag(self) -> dict[str, Any]:
        """Return how the images of the pretrained tag are scaled; a file has its model's own way."""
        import open_clip

        found = open_clip.get_pretrained_cfg(self.params.ref, self.params.pretrained or "") or {}
        return {
            name: found[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in found
        }

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from open_clip.transform import PreprocessCfg, image_transform_v2

            model = open_clip_model(
                self.params.ref,
                self.path,
                force_quick_gelu=is_plain(self.params) and self.params.activation == "quick_gelu",
                force_preprocess_cfg=self._tag(),
            )
            transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._loaded = model.requires_grad_(False).eval().to(device), transform
        return self._loaded


def _opened(path: Path) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as cause:
        raise CheckpointFormatError(f"{path}: not a readable image: {cause}") from cause
