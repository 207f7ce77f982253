"""A zero-shot ensemble in the manner of Z-LaVI (Yang et al. 2022): a language model and an image score.

For an object in a template's sentence, and a closed set of labels c:

    p(c) = w softmax_c(LM(c)) + (1 - w) softmax_c(scale * cos(s, i_c))

LM(c) is the mean log probability of the label's tokens at the blank, of the language model as it was
pre-trained; s the image tower's vector of the sentence without the blank; i_c an image score's other side:

    proxies    the image tower's vector of the label's name, where `zero_shot.images` is null: a **text
               proxy** score, in which no picture is looked at
    images     the user's vectors of pictures of each label, which a CLIP-like encoder of the tower's space
               made; the cosine is the mean over a label's pictures, as in Z-LaVI

Nothing is trained: rows of the training file are read like every row's, and no step is taken on them. A
checkpoint without a head for hidden words (MiniLM) has nothing to say at a blank, and is refused unless
w is 0.

Reading of Z-LaVI: its language score is the reciprocal of a prompt's loss, here a log probability, which a
softmax turns into what the model itself says. w is not tuned on the probe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForMaskedLM
from transformers.utils import logging

from mase.data import Rows
from mase.data.named_vectors import given_file, read_npz
from mase.errors import DataError, ParamsError
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch, Part
from mase.model.blanks import BLANKS, BlankBatch, ClozeOutput, FillsBlanks, mean_by_row
from mase.model.features import unit
from mase.model.loading import checkpoint_of
from mase.model.placebo import donors
from mase.model.task_model import Extra
from mase.model.word_head import WordHead
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables

PICTURES = "pictures"  # of the part in `Batch.extras`
BESIDE = "beside"  # of what `mase.families.cloze` adds to the language model's shares


@dataclass(frozen=True)
class PictureBatch(Part):
    """softmax of the image scores of a batch's rows over the labels."""

    shares: Float[Tensor, "B L"]


@dataclass(frozen=True)
class PictureInput:
    """softmax of the image scores of a split's rows."""

    shares: Float[np.ndarray, "n L"]

    def batch(self, indices: np.ndarray, width: int) -> PictureBatch:
        """Return those of the rows `indices`."""
        return PictureBatch(torch.from_numpy(self.shares[indices]))


def label_texts(params: Params) -> list[str]:
    """Return what the image tower reads of the labels, in the task's order."""
    return [params.towers["image"].entity_prompt.format(label) for label in params.task.labels]


def read_label_images(name: str, labels: tuple[str, ...], width: int) -> Float[np.ndarray, "L d"]:
    """Return the mean of the unit vectors of each label's pictures, from an npz file.

    texts     (n,)   the label that each picture shows
    features  (n, d) what an image encoder says of it, in the space of the image tower

    Raises:
        DataError: if the file is missing or of another form, or a label has no picture.
    """
    path = given_file(name, "zero_shot.images")
    texts, features = read_npz(path, "texts", "features")
    if features.shape[1] != width:
        raise DataError(f"{path}: features {features.shape}; expected (n, {width}), the image tower's width")
    missing = [label for label in labels if label not in texts]
    if missing:
        raise DataError(f"{path}: no picture of {', '.join(missing)}; add a row for each label")
    vectors = unit(features.astype(np.float32))
    return np.stack([vectors[np.array(texts) == label].mean(axis=0) for label in labels])


def check_word_head(params: Params) -> None:
    """Refuse a checkpoint whose head for hidden words would be new: nothing trains it here.

    Raises:
        ParamsError: if that is so.
    """
    location, options = checkpoint_of(params.backbone)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        found: Any = AutoModelForMaskedLM.from_pretrained(location, **options, output_loading_info=True)
    finally:
        logging.set_verbosity(verbosity)
    model, report = found
    missing = sorted(n for n in report["missing_keys"] if not n.startswith(f"{model.base_model_prefix}."))
    if missing:
        raise ParamsError(
            f"method zero_shot: the checkpoint of backbone {params.backbone.name} has no head for hidden "
            f"words (no {missing[0]}), and none is trained; take bert-base or set zero_shot.weight=0"
        )


class ZeroShotEnsemble(FillsBlanks):
    """A language model at the blanks beside image scores; no parameter learns."""

    modalities: tuple[Modality, ...] = ("text", "image")

    def __init__(self, params: Params, backbone: Backbone, head: WordHead):
        super().__init__()
        self.task, self.backbone, self.head = params.task, backbone, head
        self.weight = params.zero_shot.weight
        self.register_buffer("allocation", torch.tensor([self.weight, 1.0 - self.weight]))
        self.requires_grad_(False)

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "ZeroShotEnsemble":
        """Return the model with its pre-trained weights.

        Raises:
            ParamsError: if the language model is asked, and the checkpoint has no head for hidden words.
        """
        backbone = Backbone(params.backbone, architecture)
        if params.zero_shot.weight > 0 and params.backbone.source != "random" and architecture is None:
            check_word_head(params)
        built = cls(params, backbone, WordHead(backbone.width, backbone))
        built.add_labels(params, backbone)
        return built

    @classmethod
    def texts(cls, params: Params, rows: Rows) -> list[str]:
        """Return the labels, which the image tower reads too."""
        return label_texts(params)

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return where the blanks are, and the image scores.

        Raises:
            DataError: see `read_label_images`.
        """
        table, asked = tables.sentences["image"], params.zero_shot
        sentences = unit(table.vectors()[table.rows(cls.for_towers(params, rows).texts_a)])
        labels = unit(table.vectors()[table.rows(label_texts(params))])
        if asked.images is not None:
            labels = read_label_images(asked.images, params.task.labels, table.width)
        scores = torch.from_numpy(asked.scale * (sentences @ labels.T)).double()
        shares = scores.softmax(-1).numpy()[donors(params, rows, "rows", len(rows))]
        return {**super().extras(params, fitted, tables, rows, aligned), PICTURES: PictureInput(shares)}

    def forward(self, batch: Batch) -> ClozeOutput:
        """Return the language model's output at the blanks."""
        blanks = batch.extras[BLANKS]
        assert isinstance(blanks, BlankBatch)
        states, _ = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        features = states.flatten(0, 1)[blanks.position].unsqueeze(1)
        return ClozeOutput(
            self.head(features[:, 0]),
            features,
            features,
            mean_by_row(features, blanks, len(batch)),
            blanks=blanks,
        )

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return `scores` of the language model, and `beside`, the image shares times 1 - w."""
        pictures = batch.extras[PICTURES]
        assert isinstance(pictures, PictureBatch)
        return {**super().predicted(batch), BESIDE: (1.0 - self.weight) * pictures.shares}
