"""MC-PTM "+None": the text encoder of a contrastive model, and a head on its vector.

Reading of the paper: whether the encoder is tuned is not said, so both are here. Frozen (`TowerWithHead`,
method mc_ptm), the head on the stored proxies is all that trains. Tuned (`TunedTower`, method mc_ptm_tuned),
the encoder trains too, at the language model's learning rate. It starts from its checkpoint, and its vectors
are scaled as the stored ones of the training rows are, so that before the first step both are one function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mase.data import Rows
from mase.errors import ParamsError
from mase.modalities import Modality
from mase.model.batch import Batch, Part
from mase.model.features import Standardiser, joined
from mase.model.task_model import Extra, MaseOutput, TaskModel, task_head
from mase.params import Params, TaskParams, TowerParams
from mase.proxies import build_tower
from mase.proxies.tower import BatchedTower, padded

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables

NAME = "tower"  # of the part in `Batch.extras`
BESIDE_TEXT = ("text_decoder.", "logit_")  # parts of an OpenCLIP model that its text vector does not need


class TowerWithHead(TaskModel):
    """A head on one modality's frozen proxy."""

    has_backbone = False

    def __init__(self, task: TaskParams, head: nn.Module, modality: Modality):
        super().__init__()
        self.task, self.head = task, head
        self.modalities = (modality,)
        self.register_buffer("allocation", torch.ones(1))

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", width: int) -> nn.Module:
        """Return the head on a vector of this width."""
        return task_head(params, fitted, width)

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> Self:
        """Return a model with first weights; it has no backbone."""
        (modality,) = params.modalities
        return cls(params.task, cls.head_of(params, fitted, len(fitted.sentence[modality].mean)), modality)

    def read(self, batch: Batch) -> Float[Tensor, "B d"]:
        """Return the vector of each text row."""
        return batch.proxies[self.modalities[0]]

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch; the language model's tokens are not read."""
        features = self.read(batch).unsqueeze(1)
        return MaseOutput(self.head(features[:, 0]), features, features, features)


@dataclass(frozen=True)
class TowerBatch(Part):
    """The distinct texts of a batch as the tower's tokens, (U, L), and which of them each row has.

    Attributes:
        lengths: (U,) tokens of each text.
        text: (S, B) positions among the U texts; S is 2 for siamese pairs, else 1.
    """

    ids: Int[Tensor, "U L"]
    lengths: Int[Tensor, "U"]
    text: Int[Tensor, "S B"]


@dataclass(frozen=True)
class TowerTexts:
    """The texts of a whole split: token rows, and the texts of each text row, (S, n)."""

    tokens: Sequence[Sequence[int]]
    text: Int[np.ndarray, "S n"]

    def batch(self, indices: np.ndarray, width: int) -> TowerBatch:
        """Return the texts of text rows."""
        texts, place = np.unique(self.text[:, indices], return_inverse=True)
        ids, lengths = padded([self.tokens[text] for text in texts])
        return TowerBatch(ids, lengths, torch.from_numpy(place.reshape(-1, len(indices))))


def trainable_tower(params: TowerParams, seed: int) -> tuple[BatchedTower, nn.Module]:
    """Return a tower from its checkpoint, and its module, whose text side has gradients.

    Raises:
        ParamsError: if its vectors come from a table or from images.
        MissingWeightsError, CheckpointFormatError: as `build_tower`.
    """
    tower = build_tower(params, seed)
    module = getattr(tower, "module", None)
    if not isinstance(tower, BatchedTower) or not isinstance(module, nn.Module):
        raise ParamsError(
            f"tower {params.name} cannot be tuned: a tower of format {params.format} has no text encoder of "
            "its own to train; take the frozen method, mc_ptm"
        )
    texts = tower.weights()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in texts and not name.startswith(BESIDE_TEXT))
    return tower, module


class TunedTower(TowerWithHead):
    """A tower that trains, and a head on its vector.

    Attributes:
        encoder: the tower, which calls `tower`, its text encoder.
        mean, deviation: (d,) of the stored proxies of the training rows; they stay as they are.
    """

    pretrained = ("tower.",)
    encoder: BatchedTower
    tower: nn.Module
    mean: Tensor
    deviation: Tensor

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> Self:
        """Return a model whose tower has the weights of its checkpoint.

        Raises:
            ParamsError: if the tower cannot be tuned.
        """
        model = super().build(params, fitted, architecture)
        (modality,) = params.modalities
        model.encoder, model.tower = trainable_tower(params.towers[modality], params.seed)
        scale: Standardiser = fitted.sentence[modality]
        model.register_buffer("mean", torch.from_numpy(scale.mean.astype(np.float32)))
        model.register_buffer("deviation", torch.from_numpy(scale.deviation.astype(np.float32)))
        return model

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return the rows' texts as the tower's tokens; in the placebo `proxies.shuffle`, another row's."""
        (modality,) = params.modalities
        tower, _ = trainable_tower(params.towers[modality], params.seed)
        read = cls.for_towers(params, rows)
        columns = [read.texts_a] if read.texts_b is None else [read.texts_a, read.texts_b]
        if len(columns) == 2 and params.proxies.pair_mode == "joined":
            columns = [tuple(joined(a, b) for a, b in zip(*columns, strict=True))]
        texts = sorted({text for column in columns for text in column})
        place = {text: position for position, text in enumerate(texts)}
        order = rows.text_rows(cls.proxy_rows(params, rows))
        of_rows = np.array([[place[text] for text in column] for column in columns], dtype=np.int64)
        return {NAME: TowerTexts(tower.tokenise(texts).ids, of_rows[:, order])}

    def read(self, batch: Batch) -> Float[Tensor, "B d"]:
        """Return the features of `mase.model.features.sentence_features`, scaled, with gradients."""
        part = batch.extras[NAME]
        assert isinstance(part, TowerBatch)
        vectors = self.encoder.forward(part.ids, part.lengths).float()
        first, *second = functional.normalize(vectors, dim=-1, eps=1e-6)[part.text]
        if second:
            other = second[0]
            first = torch.cat([first, other, (first - other).abs(), first * other], dim=-1)
        return (first - self.mean) / self.deviation
