"""A split's looked-up words as model inputs: a slot for each, with its features and its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.baselines.vawi.words import last_tokens, prompt_of, selected
from mase.data import Rows
from mase.model.batch import Part
from mase.model.features import unit
from mase.model.graph_nodes import csr_ranges
from mase.model.placebo import donors
from mase.model.tokens import TokenTable
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Fitted, Tables

NAME = "vawi"  # of the part in `Batch.extras`


@dataclass(frozen=True)
class WordBatch(Part):
    """The words of a batch's text rows; S is the largest number of them in a row.

    Attributes:
        features: (B, S, d) the tower's vectors.
        position: (B, S) of the word's last token, counted from the row's first.
        column: (B, S) of that token in the padded batch.
        sentence: (B, S) 0 for a word of the first text, 1 of the second, -1 where there is no word.
    """

    features: Float[Tensor, "B S d"]
    position: Int[Tensor, "B S"]
    column: Int[Tensor, "B S"]
    sentence: Int[Tensor, "B S"]

    @property
    def present(self) -> Bool[Tensor, "B S"]:
        """Return where there is a word."""
        return self.sentence >= 0


@dataclass(frozen=True)
class WordSlots:
    """The words of a split as compressed sparse rows.

    Attributes:
        tokens: the rows' tokens.
        vocabulary: (V, d) scaled features of the distinct words.
        pointer: (n + 1,) start of each text row in the arrays below.
        word, position, sentence: (S,) row of `vocabulary`, position of the last token, which text.
    """

    tokens: TokenTable
    vocabulary: np.ndarray
    pointer: np.ndarray
    word: np.ndarray
    position: np.ndarray
    sentence: np.ndarray

    def batch(self, indices: np.ndarray, width: int) -> WordBatch:
        """Return the words of text rows, with columns of a batch padded to `width`."""
        slot, row = csr_ranges(self.pointer, indices)
        counts = self.pointer[indices + 1] - self.pointer[indices]
        place = np.arange(len(slot)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.array([self.tokens.columns(int(i), width).start for i in indices], dtype=np.int64)
        shape = (len(indices), int(counts.max(initial=0)))
        features = np.zeros((*shape, self.vocabulary.shape[1]), np.float32)
        position, column = np.zeros((2, *shape), np.int64)
        sentence = np.full(shape, -1, np.int64)
        features[row, place] = self.vocabulary[self.word[slot]]
        position[row, place] = self.position[slot]
        column[row, place] = self.position[slot] + first[row]
        sentence[row, place] = self.sentence[slot]
        return WordBatch(*map(torch.from_numpy, (features, position, column, sentence)))


def word_slots(
    params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, tokens: TokenTable
) -> WordSlots:
    """Return the slots of a split; in the placebo `proxies.shuffle` each has another slot's features."""
    texts: list[Sequence[str]] = [rows.texts_a] if rows.texts_b is None else [rows.texts_a, rows.texts_b]
    words = selected(params, rows.texts())
    prompts = {text: [prompt_of(text, word) for word in found] for text, found in words.items()}
    distinct = sorted({prompt for found in prompts.values() for prompt in found})
    number = {prompt: i for i, prompt in enumerate(distinct)}
    slots: list[tuple[int, int, int]] = []
    pointer = [0]
    for row in range(len(rows.texts_a)):
        for sentence, column in enumerate(texts):
            text = column[row]
            places = last_tokens(tokens, row, sentence, words[text]).tolist()
            found = zip(prompts[text], places, strict=True)
            slots += [(number[prompt], place, sentence) for prompt, place in found if place >= 0]
        pointer.append(len(slots))
    word, position, which = np.array(slots, dtype=np.int64).reshape(-1, 3).T
    word = word[donors(params, rows, "nodes", len(word))]
    return WordSlots(tokens, _features(fitted, tables, distinct), np.array(pointer), word, position, which)


def _features(fitted: "Fitted", tables: "Tables", prompts: Sequence[str]) -> np.ndarray:
    table = tables.sentences["image"]
    scale = fitted.sentence["image"].part(0, table.width)  # of a pair, that of its first sentence
    return scale(unit(table.vectors()[table.rows(prompts)]))
