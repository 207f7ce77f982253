"""The language model that VAWI augments, with its head."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
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


class VisuallyAugmentedModel(TaskModel):
    """A language model that reads the vectors of visually-hungry words among its tokens.

    Args:
        params: the run's params.
        backbone: the language model; frozen where only the reformulation trains.
        head: on its pooled state.
        features: width of the image tower's vectors.

    Raises:
        ParamsError: if the backbone has too few positions for the row and its words.
    """

    modalities: tuple[Modality, ...] = ("text", "image")

    def __init__(self, params: Params, backbone: Backbone, head: Head, features: int):
        super().__init__()
        self.task, self.backbone, self.head = params.task, backbone, head
        _check_length(params, backbone)
        words = backbone.words
        self.reformulation = Reformulation(features, words.embedding_dim, float(words.weight.detach().std()))
        self.positions = WordPositions(backbone.encoder, words.embedding_dim)
        self.selector: LearnedSelector | None = None
        if params.vawi.selector == "learned":
            self.selector = LearnedSelector(backbone.width, params.vawi.words, params.vawi.temperature)
        if params.vawi.train == "reformulation":
            backbone.requires_grad_(False)
        self.register_buffer("allocation", torch.full((2,), 0.5))

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "VisuallyAugmentedModel":
        """Return a model with first weights."""
        backbone = Backbone(params.backbone, architecture)
        head = task_head(params, fitted, backbone.width)
        return cls(params, backbone, head, params.towers["image"].output_width)

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

    def forward(self, batch: Batch) -> MaseOutput:
        """Return the output for a batch."""
        part = batch.extras[NAME]
        assert isinstance(part, WordBatch) and batch.ids is not None
        assert batch.mask is not None and batch.types is not None
        gates = self.chosen(batch, part)
        present = gates > 0
        vectors = self.reformulation(self.positions(part.position), part.features, present)
        vectors = vectors * gates.unsqueeze(-1)
        longer = insert(
            self.backbone.words(batch.ids), batch.mask, batch.types, vectors, part.column, present
        )
        _, pooled = self.backbone.read_embedded(*longer)
        features = pooled.unsqueeze(1)
        return MaseOutput(self.head(pooled), features, features, features)

    def chosen(self, batch: Batch, part: WordBatch) -> Float[Tensor, "B S"]:
        """Return 1 for words that are inserted, 0 for the rest."""
        if self.selector is None:
            return part.present.float()
        with torch.no_grad():
            states, _ = self.backbone(batch.ids, batch.mask, batch.types)
        column = part.column.unsqueeze(-1).expand(-1, -1, states.shape[-1])
        return self.selector(states.gather(1, column), part.sentence)


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
