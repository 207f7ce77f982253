"""Where a text's words are hidden, and what a model of any method asks of them.

A probe ranks its labels at the blank and nothing else; a label of several tokens gets as many blanks, and
the mean log probability of its tokens, given that all of them are hidden.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.data.cloze import are_texts
from mase.model.backbone import Backbone
from mase.model.batch import Batch, Part
from mase.model.hidden_words import (
    IGNORED,
    MOST_PIECES,
    ask,
    hide_words,
    label_pieces,
    prepare_mask_token,
    targets,
    without_blanks,
)
from mase.model.loading import load_tokenizer
from mase.model.task_model import Extra, MaseOutput, Split, TaskModel
from mase.model.tokens import TokenTable
from mase.model.word_head import WordHead, log_probabilities
from mase.params import Params
from mase.params.task import MASK

if TYPE_CHECKING:
    from mase.model.preparation import Aligned, Fitted, Tables

BLANKS = "blanks"
OF_LABELS = ("label_ids", "label_counts")  # buffers that say what is asked; training does not read them


@dataclass(frozen=True)
class BlankBatch(Part):
    """The K blanks of a batch of B rows.

    Attributes:
        row: (K,) row of the batch.
        slot: (K,) how many blanks of the row stand before it.
        position: (K,) flat position in B * L.
    """

    row: Int[Tensor, "K"]
    slot: Int[Tensor, "K"]
    position: Int[Tensor, "K"]


class Blanks:
    """The blanks of a split.

    Attributes:
        positions: for each row, the places of its blanks among its tokens; those beyond the
            maximum length are lost.
    """

    def __init__(self, tokens: TokenTable, rows: Rows):
        self.tokens = tokens
        self.positions = [_places(tokens, row, text) for row, text in enumerate(rows.texts_a)]

    @property
    def counts(self) -> np.ndarray:
        """Return how many blanks each row has, (n,)."""
        return np.array([len(places) for places in self.positions], dtype=np.int64)

    def batch(self, indices: np.ndarray, width: int) -> BlankBatch:
        """Return the blanks of the rows `indices`, padded to `width` tokens."""
        found = [
            (place, slot, place * width + self.tokens.columns(int(index), width).start + position)
            for place, index in enumerate(indices)
            for slot, position in enumerate(self.positions[index].tolist())
        ]
        row, slot, position = torch.tensor(found, dtype=torch.int64).reshape(-1, 3).unbind(1)
        return BlankBatch(row, slot, position)


def _places(tokens: TokenTable, row: int, text: str) -> np.ndarray:
    starts = [at for at in range(len(text)) if text.startswith(MASK, at)]
    places = [tokens.tokens_of_span(row, 0, start, start + len(MASK)) for start in starts]
    return np.concatenate([np.zeros(0, np.int64), *places])


@dataclass(frozen=True)
class ClozeOutput(MaseOutput):
    """`logits` is (K, V), `pre` and `post` (K, M, D), of the K blanks of a batch; `contrastive` is by row."""

    blanks: BlankBatch | None = None


class FillsBlanks(TaskModel):
    """Base of the models that fill blanks: what they read of the rows, and how they are judged.

    It stands before the class of a method, whose `build` it completes.
    """

    label_ids: Tensor
    label_counts: Tensor

    @classmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> Self:
        """Return the method's model with the labels' tokens."""
        built = super().build(params, fitted, architecture)  # pyright: ignore[reportAbstractUsage]
        assert isinstance(built, cls) and isinstance(built.backbone, Backbone)
        built.add_labels(params, built.backbone)
        return built

    @classmethod
    def head_of(cls, params: Params, fitted: "Fitted", backbone: Backbone, width: int) -> nn.Module:
        """Return the language model's head for hidden words, on features of this width."""
        return WordHead(width, backbone)

    @classmethod
    def rows(cls, params: Params, rows: Rows, tokenizer: PreTrainedTokenizerBase | None) -> Rows:
        """Return texts with hidden words, or each object in every template.

        Raises:
            ParamsError: if the backbone has no mask token, or reads a label as another one.
        """
        assert tokenizer is not None
        prepare_mask_token(tokenizer, params.backbone.name)
        if are_texts(rows):
            return hide_words(rows, tokenizer, params.data.split_seed)
        return ask(params.task, rows, label_pieces(params.task, tokenizer).lengths)

    @classmethod
    def for_towers(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows with white space for blanks: what was hidden is in no proxy."""
        return replace(rows, texts_a=tuple(without_blanks(text) for text in rows.texts_a))

    @classmethod
    def for_parser(cls, params: Params, rows: Rows) -> Rows:
        """Return the same: a blank is no entity."""
        return cls.for_towers(params, rows)

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return where the blanks are."""
        assert aligned.tokens is not None
        return {BLANKS: Blanks(aligned.tokens, rows)}

    @classmethod
    def targets(cls, params: Params, split: Split) -> Int[Tensor, "n P"]:
        """Return the tokens that were hidden, P the most of a row, `IGNORED` elsewhere.

        Raises:
            ParamsError: if the rows are objects of a probe, which nothing can be trained on.
        """
        blanks = split.inputs.extras[BLANKS]
        assert split.tokenizer is not None and isinstance(blanks, Blanks)
        return torch.from_numpy(targets(split.rows, split.tokenizer, blanks.counts))

    def add_labels(self, params: Params, backbone: Backbone) -> None:
        """Keep the labels' tokens with the model; they are loaded where the weights are."""
        ids = np.zeros((len(params.task.labels), MOST_PIECES), np.int64)
        counts = np.zeros(len(ids), np.int64)
        if backbone.architecture is None:
            found = label_pieces(params.task, load_tokenizer(params.backbone))
            ids, counts = found.ids, found.counts
        self.register_buffer("label_ids", torch.from_numpy(ids))
        self.register_buffer("label_counts", torch.from_numpy(counts))

    def task_loss(self, output: MaseOutput, labels: Int[Tensor, "B P"]) -> Float[Tensor, ""]:
        """Return the cross entropy of the hidden tokens in nats (Eq. 7), mean over the blanks."""
        blanks = blanks_of(output)
        if not len(blanks.row):
            return output.logits.sum() * 0.0
        return functional.cross_entropy(output.logits, labels[blanks.row, blanks.slot], ignore_index=IGNORED)

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return `scores` (B, L) of the labels in nats per token; NaN where a row has not as many blanks."""
        output = self(batch)
        blanks, rows = blanks_of(output), len(batch)
        found = torch.bincount(blanks.row, minlength=rows)
        ids = self.label_ids.t()[blanks.slot.clamp_max(MOST_PIECES - 1)]  # (K, L)
        told = log_probabilities(output.logits.float(), ids)
        scores = told.new_zeros(rows, told.shape[1]).index_add(0, blanks.row, told)
        fits = found[:, None] == self.label_counts[None, :]
        scores = scores / found.clamp_min(1)[:, None]
        return {"scores": torch.where(fits, scores, torch.nan)}


def blanks_of(output: MaseOutput) -> BlankBatch:
    """Return the blanks of the batch that an output is of."""
    assert isinstance(output, ClozeOutput) and output.blanks is not None
    return output.blanks


def mean_by_row(features: Float[Tensor, "K M D"], blanks: BlankBatch, rows: int) -> Float[Tensor, "B M D"]:
    """Return the mean over a row's blanks; zero where it has none."""
    total = features.new_zeros(rows, *features.shape[1:]).index_add(0, blanks.row, features)
    counts = torch.bincount(blanks.row, minlength=rows).clamp_min(1)
    return total / counts[:, None, None]
