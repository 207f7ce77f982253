"""Captions as tokens with vokens, and which of the tokens are hidden."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mase.baselines.voken.vokens import Captions, VokenTable, vokenise
from mase.data import Rows
from mase.model.hidden_words import IGNORED
from mase.model.tokens import TokenTable, tokenise
from mase.proxies.tower import Tower


@dataclass(frozen=True)
class Corpus:
    """Tokens of the captions, and the voken of each, `IGNORED` where it is in no word."""

    tokens: TokenTable
    vokens: np.ndarray
    count: int  # V

    def targets(self, rows: Int[np.ndarray, "B"], width: int) -> Int[Tensor, "B L"]:
        """Return the vokens of rows that are padded to `width` tokens."""
        found = torch.full((len(rows), width), IGNORED)
        for place, row in enumerate(rows.tolist()):
            start, end = self.tokens.pointer[row], self.tokens.pointer[row + 1]
            found[place, self.tokens.columns(row, width)] = torch.from_numpy(self.vokens[start:end])
        return found


def corpus_of(
    captions: Captions, tower: Tower, table: VokenTable, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Corpus:
    """Tokenise the captions and give each token its word's voken."""
    ids = tuple(str(i) for i in range(len(captions.texts)))
    tokens = tokenise(tokenizer, Rows(ids, captions.texts, None, np.zeros(len(ids), np.int64)), max_length)
    vokens = np.full(len(tokens.ids), IGNORED, np.int64)
    for row, words in enumerate(vokenise(tower, table, captions.texts)):
        start = int(tokens.pointer[row])
        for (first, last), voken in words:
            vokens[start + tokens.tokens_of_span(row, 0, first, last)] = voken
    return Corpus(tokens, vokens, len(table.vectors))


def hidden_tokens(special: Tensor, share: float, generator: np.random.Generator) -> Tensor:
    """Return which tokens are hidden; at least the first that may be."""
    drawn = torch.from_numpy(generator.random(tuple(special.shape)) < share) & ~special
    if not bool(drawn.any()):
        place = int((~special).flatten().int().argmax())
        drawn.view(-1)[place] = True
    return drawn


def as_read(
    ids: Tensor, hidden: Tensor, tokenizer: PreTrainedTokenizerBase, generator: np.random.Generator
) -> Tensor:
    """Return what the model reads: of the hidden tokens 80% as [MASK], 10% as others, 10% as they are."""
    kind = torch.from_numpy(generator.random(tuple(ids.shape)))
    other = torch.from_numpy(generator.integers(0, len(tokenizer), tuple(ids.shape)))
    assert isinstance(tokenizer.mask_token_id, int)
    written = ids.masked_fill(hidden & (kind < 0.8), tokenizer.mask_token_id)
    return torch.where(hidden & (kind >= 0.9), other, written)
