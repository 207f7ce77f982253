"""iACE: imagination-augmented cross-modal encoding (Lu et al. 2022), beside a language model.

A fusion head reads the image features v and the text features t of a sentence:

    f(v, t) = Linear_C(drop(Linear(drop(ReLU(Linear([ReLU(v) ; ReLU(t)]))))))      and tanh, if asked for

It is asked once for a single text, f(v, t); twice for a pair, f(v_1, t_1) and f(t_2, v_2), the arguments of
the second swapped. Even epochs train it, odd ones the language model with its own head. The prediction is
(logits of the language model + mean of the fusion head's) / 2.

The original draws an image for every sentence with VQGAN and CLIP, and reads image and sentence with CLIP
ViT-B/32. Here v comes from a user's file (`iace.features`, see `mase.data.image_features`); without one the
image tower's proxy of the sentence stands in for it, and v = t: a run without images says nothing about
images. t is always the image tower's text vector.

Known faults of the released code, not copied:
    - both losses fill the gradients of both parts, but only the part that steps is cleared, so the first
      step of each epoch takes the clipped sum of the epoch before: here the loss of an epoch is that of
      the part it trains, and the other part has no gradient at all;
    - the fusion head is never saved, and its loading is commented out: here it is part of the model;
    - the text features that training loads are written by no script (the option for it switches to the
      development split): here they come from the tower;
    - a low-resource split is the file's first rows: here a seeded sample (`data.subset: sample`);
    - tanh bounds a score of STS-B by 1, of 5: here it is stretched over the task's range.

Reading of the paper: the sum of the three losses is written there, the epochs alternate in the code. Since
the parts share no parameter, the two differ in the number of steps only (`iace.alternate: never` trains both
in every step). Features are scaled to unit deviation, as everywhere here; the original's are CLIP's, as
they come. Of a multiple choice, a question and a choice are a pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.data import Rows
from mase.data.image_features import read_image_features
from mase.families import family_of
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch, Part
from mase.model.features import unit
from mase.model.heads import Head
from mase.model.placebo import donors
from mase.model.task_model import Extra, MaseOutput, TaskModel, task_head
from mase.params import IaceParams, Params

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables

NAME = "iace"  # of the part in `Batch.extras`


@dataclass(frozen=True)
class SentenceBatch(Part):
    """Image and text features of text rows' sentences: (B, S, d_v) and (B, S, d_t), S 1, or 2 of pairs."""

    image: Float[Tensor, "B S v"]
    text: Float[Tensor, "B S t"]


@dataclass(frozen=True)
class SentenceInputs:
    """Image and text features of a whole split."""

    image: np.ndarray
    text: np.ndarray

    def batch(self, indices: np.ndarray, width: int) -> SentenceBatch:
        """Return the features of text rows."""
        return SentenceBatch(torch.from_numpy(self.image[indices]), torch.from_numpy(self.text[indices]))


def sentence_inputs(params: Params, fitted: "Fitted", tables: "Tables", rows: Rows) -> SentenceInputs:
    """Return the features of all sentences of a split; in the placebo `proxies.shuffle`, of another row's.

    Raises:
        DataError: if the user's file lacks a sentence.
    """
    table = tables.sentences["image"]
    scale = fitted.sentence["image"].part(0, table.width)  # of a pair, that of its first sentence
    columns = [rows.texts_a] if rows.texts_b is None else [rows.texts_a, rows.texts_b]
    text = np.stack([scale(unit(table.vectors()[table.rows(column)])) for column in columns], axis=1)
    image = text
    if params.iace.features is not None:
        found = read_image_features(params.iace.features)
        length = found.features.shape[1] ** 0.5
        image = np.stack([unit(found.rows(column)) * length for column in columns], axis=1)
    order = rows.text_rows(donors(params, rows, "rows", len(rows)))
    return SentenceInputs(image[order], text[order])


class FusionHead(nn.Module):
    """f(v, t) of the module docstring."""

    def __init__(self, width: int, outputs: int, params: IaceParams):
        super().__init__()
        self.fusion = nn.Linear(width, params.hidden)
        self.dense = nn.Linear(params.hidden, params.hidden)
        self.output = nn.Linear(params.hidden, outputs)
        self.dropout, self.tanh = nn.Dropout(params.dropout), params.tanh

    def forward(self, image: Float[Tensor, "B v"], text: Float[Tensor, "B t"]) -> Float[Tensor, "B C"]:
        """Return logits, between -1 and 1 with tanh."""
        joined = torch.cat([image.relu(), text.relu()], dim=1)
        hidden = self.dropout(self.fusion(joined).relu())
        logits = self.output(self.dropout(self.dense(hidden)))
        return logits.tanh() if self.tanh else logits


@dataclass(frozen=True)
class ImaginationOutput(MaseOutput):
    """What a forward pass knows, with the answers of either part.

    Attributes:
        language: (B, C) of the language model; None where it was not asked.
        visual: (B, C) of each call of the fusion head; none where it was not asked.
    """

    language: Float[Tensor, "B C"] | None = None
    visual: tuple[Float[Tensor, "B C"], ...] = ()


class ImaginationModel(TaskModel):
    """A language model with its head, and the fusion head.

    Attributes:
        epoch: of training, counted from 0; says which part learns.
    """

    modalities: tuple[Modality, ...] = ("text", "image")

    def __init__(self, params: Params, backbone: Backbone, head: Head, fusion: FusionHead):
        super().__init__()
        self.task, self.backbone, self.head, self.fusion = params.task, backbone, head, fusion
        self.alternate, self.epoch = params.iace.alternate == "epochs", 0
        self.register_buffer("allocation", torch.full((2,), 0.5))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "ImaginationModel":
        """Return a model with first weights."""
        backbone = Backbone(params.backbone, architecture)
        head = task_head(params, fitted, backbone.width)
        text = params.towers["image"].output_width
        image = text
        if params.iace.features is not None:
            image = read_image_features(params.iace.features).features.shape[1]
        outputs = family_of(params.task).outputs(params.task, fitted.labels)
        return cls(params, backbone, head, FusionHead(image + text, outputs, params.iace))

    @classmethod
    def texts(cls, params: Params, rows: Rows) -> list[str]:
        """Return the single sentences, which `pair_mode: joined` alone would not encode."""
        return rows.texts()

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return the features of the sentences."""
        return {NAME: sentence_inputs(params, fitted, tables, rows)}

    def begin_epoch(self, epoch: int) -> None:
        """Take note of the epoch."""
        self.epoch = epoch

    def learns(self) -> tuple[bool, bool]:
        """Return whether the language model and the fusion head learn in this epoch."""
        return (True, True) if not self.alternate else (self.epoch % 2 == 1, self.epoch % 2 == 0)

    def forward(self, batch: Batch) -> ImaginationOutput:
        """Return the output for a batch; in training, of the part that learns."""
        language, fusion = self.learns() if self.training else (True, True)
        answers, visual = None, ()
        features = batch.proxies["image"].unsqueeze(1)
        if language:
            _, pooled = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
            features = pooled.float().unsqueeze(1)
            answers = self.head(features[:, 0])
        if fusion:
            visual = self._seen(batch)
        parts = [part for part in (answers, _mean(visual)) if part is not None]
        logits = torch.stack(parts).mean(0)
        return ImaginationOutput(logits, features, features, features, language=answers, visual=visual)

    def _seen(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the fusion head's answers, by example: (B, C) of each call."""
        part = batch.extras[NAME]
        assert isinstance(part, SentenceBatch)
        found = [self.fusion(part.image[:, 0], part.text[:, 0])]
        if part.text.shape[1] == 2:
            found.append(self.fusion(part.text[:, 1], part.image[:, 1]))
        return tuple(self._in_label_units(answers) for answers in found)

    def _in_label_units(self, answers: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        assert isinstance(self.head, Head)
        if self.head.options > 1:
            return answers.squeeze(-1).unflatten(0, (-1, self.head.options))
        if self.task.family != "regression":
            return answers
        if not self.fusion.tanh or self.task.label_range is None:
            return answers * self.head.deviation + self.head.mean
        low, high = self.task.label_range
        return low + (high - low) * (answers + 1) / 2

    def task_loss(self, output: MaseOutput, labels: Tensor) -> Float[Tensor, ""]:
        """Return the sum of the losses of the parts that learn."""
        assert isinstance(output, ImaginationOutput)
        parts = [part for part in (output.language, *output.visual) if part is not None]
        family = family_of(self.task)
        return torch.stack([family.loss(part, labels, self.head) for part in parts]).sum()


def _mean(visual: tuple[Tensor, ...]) -> Tensor | None:
    return torch.stack(visual).mean(0) if visual else None
