"""Rows tokenised once, kept as flat arrays, padded per batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.params.task import MASK


@dataclass(frozen=True)
class TokenTable:
    """Token ids of all rows as compressed sparse rows.

    Attributes:
        pointer: (n + 1,) start of each row in the arrays below.
        ids, types: (T,) token ids and segment types.
        segment: (T,) 0 for the first sentence, 1 for the second, -1 for special tokens.
        start, end: (T,) character offsets of the token in its sentence.
        pad_id, pad_left: how a batch is padded.
        truncated: number of rows cut at the maximum length.
    """

    pointer: np.ndarray
    ids: np.ndarray
    types: np.ndarray
    segment: np.ndarray
    start: np.ndarray
    end: np.ndarray
    pad_id: int
    pad_left: bool
    truncated: int

    def __len__(self) -> int:
        return len(self.pointer) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each row, (n,)."""
        return np.diff(self.pointer)

    def columns(self, index: int, width: int) -> slice:
        """Return where row `index` stands in a batch padded to `width`."""
        length = int(self.pointer[index + 1] - self.pointer[index])
        return slice(width - length, width) if self.pad_left else slice(0, length)

    def pad(self, indices: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids, mask and types of the rows, each (B, L) with L the longest of them."""
        width = int(self.lengths[indices].max())
        ids = np.full((len(indices), width), self.pad_id, dtype=np.int64)
        types = np.zeros_like(ids)
        mask = np.zeros(ids.shape, dtype=bool)
        for position, index in enumerate(indices):
            columns = self.columns(index, width)
            tokens = slice(self.pointer[index], self.pointer[index + 1])
            ids[position, columns] = self.ids[tokens]
            types[position, columns] = self.types[tokens]
            mask[position, columns] = True
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(types)

    def tokens_of_span(self, index: int, sentence: int, start: int, end: int) -> np.ndarray:
        """Return positions, within row `index`, of the tokens that overlap a character span."""
        tokens = slice(self.pointer[index], self.pointer[index + 1])
        hit = (self.segment[tokens] == sentence) & (self.start[tokens] < end) & (self.end[tokens] > start)
        return np.flatnonzero(hit)


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the padding id; 0 where there is none, since padding is masked."""
    return tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0


def _written(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    token = tokenizer.mask_token
    if not isinstance(token, str) or len(token) != len(MASK):
        return list(texts)
    return [text.replace(MASK, token) for text in texts]


def tokenise(tokenizer: PreTrainedTokenizerBase, rows: Rows, max_length: int) -> TokenTable:
    """Tokenise rows; pairs become one sequence, cut longest-first at `max_length`.

    `[MASK]` in a text is read as the tokenizer's own mask token, which is as long (`<mask>`).

    Segment types are those of the tokenizer's template, whatever it says its model reads: the
    tokenizers of ALBERT and XLNet, which both tell segments apart, do not name them. Whether they
    mean something to the model, `Backbone` knows.
    """
    coded = tokenizer(
        _written(tokenizer, rows.texts_a),
        _written(tokenizer, rows.texts_b) if rows.texts_b is not None else None,
        truncation="longest_first" if rows.texts_b is not None else True,
        max_length=max_length,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        return_overflowing_tokens=False,
    )
    encodings = coded.encodings
    assert encodings is not None
    pointer = np.concatenate([[0], np.cumsum([len(e.ids) for e in encodings])]).astype(np.int64)
    offsets = np.array([o for e in encodings for o in e.offsets], dtype=np.int32).reshape(-1, 2)
    return TokenTable(
        pointer=pointer,
        ids=np.array([i for e in encodings for i in e.ids], dtype=np.int32),
        types=np.array([t for e in encodings for t in e.type_ids], dtype=np.int8),
        segment=np.array([-1 if s is None else s for e in encodings for s in e.sequence_ids], dtype=np.int8),
        start=offsets[:, 0],
        end=offsets[:, 1],
        pad_id=_pad_id(tokenizer),
        pad_left=tokenizer.padding_side == "left",
        truncated=sum(bool(e.overflowing) for e in encodings),
    )
