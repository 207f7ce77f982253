"""The language model that VAWI augments, and the model with a head on its pooled state."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mase.baselines.vawi.reformulation import (
    LearnedSelector,
    Reformulation,
    WordPositions,
    first_position,
    insert,
    position_table,
)
from mase.baselines.vawi.slots import NAME, WordBatch, word_slots
from mase.baselines.vawi.words import candidates, prompt_of
from mase.data import Rows
from mase.errors import ParamsError
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.heads import Head
from mase.model.task_model import Extra, MaseOutput, TaskModel, task_head
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables


class VisuallyAugmented(TaskModel):
    """Base of the models whose language model reads the vectors of visually-hungry words among its tokens."""

    modalities: tuple[Modality, ...] = ("text", "image")
    backbone: Backbone

    def augment(self, params: Params) -> None:
        """Add what makes the vectors to `backbone`, which is frozen where only that trains.

        Raises:
            ParamsError: if the backbone has too few positions for the row and its words.
        """
        backbone, words = self.backbone, self.backbone.words
        _check_length(params, backbone)
        width, features = words.embedding_dim, params.towers["image"].output_width
        self.reformulation = Reformulation(features, width, float(words.weight.detach().std()))
        self.positions = WordPositions(backbone.encoder, width)
        self.selector: LearnedSelector | None = None
        if params.vawi.selector == "learned":
            self.selector = LearnedSelector(backbone.width, params.vawi.words, params.vawi.temperature)
        if params.vawi.train == "reformulation":
            backbone.requires_grad_(False)
        self.register_buffer("allocation", torch.full((2,), 0.5))

    @classmethod
    def texts(cls, params: Params, rows: Rows) -> list[str]:
        """Return the prompts of the words that may be looked up."""
        found = candidates(params, rows.texts())
        return sorted({prompt_of(text, word) for text, words in found.items() for word in words})

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return the words of the rows."""
        assert aligned.tokens is not None
        return {NAME: word_slots(params, fitted, tables, rows, aligned.tokens)}

    def read(self, batch: Batch) -> tuple[Float[Tensor, "B K W"], Bool[Tensor, "B K"], Float[Tensor, "B W"]]:
        """Return the states of tokens and inserted vectors, which of the K are real, and the pooled state."""
        part = batch.extras[NAME]
        assert isinstance(part, WordBatch) and batch.ids is not None
        assert batch.mask is not None and batch.types is not None
        gates = self.chosen(batch, part)
        present = gates > 0
        vectors = self.reformulation(self.positions(part.position), part.features, present)
        vectors = vectors * gates.unsqueeze(-1)
        embedded = self.backbone.words(batch.ids)
        longer = insert(embedded, batch.mask, batch.types, vectors, part.column, present)
        states, pooled = self.backbone.read_embedded(*longer)
        return states, longer[1], pooled

    def chosen(self, batch: Batch, part: WordBatch) -> Float[Tensor, "B S"]:
        """Return 1 for words that are inserted, 0 for the rest."""
        if self.selector is None:
            return part.present.float()
        with torch.no_grad():
            states, _ = self.backbone(batch.ids, batch.mask, batch.types)
        column = part.column.unsqueeze(-1).expand(-1, -1, states.shape[-1])
        return self.selector(states.gather(1, column), part.sentence)


class VisuallyAugmentedModel(VisuallyAugmented):
    """An augmented language model with a head on its pooled state."""

    def __init__(self, params: Params, backbone: Backbone, head: Head):
        super().__init__()
        self.task, self.backbone, self.head = params.task, backbone, head
        self.augment(params)

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "VisuallyAugmentedModel":
        """Return a model with first weights.

        Raises:
            ParamsError: if the backbone has too few positions for the row and its words.
        """
        backbone = Backbone(params.backbone, architecture)
        return cls(params, backbone, task_head(params, fitted, backbone.width))

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch."""
        _, _, pooled = self.read(batch)
        features = pooled.unsqueeze(1)
        return MaseOutput(self.head(pooled), features, features, features)


def _check_length(params: Params, backbone: Backbone) -> None:
    table = position_table(backbone.encoder)
    if table is None:
        return
    words = params.vawi.words * (2 if params.second_texts else 1)
    positions = table.num_embeddings - first_position(table)
    if params.backbone.max_length + words > positions:
        raise ParamsError(
            f"backbone.max_length: {params.backbone.max_length} and {words} words of vawi, but the model has "
            f"{positions} positions"
        )
