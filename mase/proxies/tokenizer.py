"""CLIP's byte-pair encoding, for the full vocabulary or a checkpoint's part of it.

The merges, the cleaning and the word pattern are those of `open_clip.tokenizer`.
Ids 0..511 are single bytes (plain, then with the end-of-word mark), 512..49405 are
merges in the order they were learned, then come start and end of text.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mase.errors import CheckpointFormatError
from mase.proxies.tower import TokenIds

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

FULL_VOCABULARY = 49408
BYTES = 512
START, END = FULL_VOCABULARY - 2, FULL_VOCABULARY - 1

# Merging is quadratic in a word's length. A piece of this length is more than 77 tokens,
# so cutting a longer word into pieces changes nothing that a CLIP tower reads.
LONGEST_WORD = 2048


@lru_cache(maxsize=1)
def clip_bpe() -> "SimpleTokenizer":
    """Return OpenCLIP's tokenizer (imported on first use: it takes seconds)."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def clean(text: str) -> str:
    """Repair the encoding, resolve HTML entities, collapse white space and lower-case, as CLIP does."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split()).lower()  # there is nothing to repair
    return clip_bpe().clean_fn(text)


def lowest_ids(count: int) -> tuple[int, ...]:
    """Return `count` ids: the bytes, the earliest merges, start and end of text."""
    return (*range(count - 2), START, END)


def check_kept_ids(kept: Sequence[int], where: str) -> None:
    """Check the list of BPE ids that a cut-down vocabulary keeps.

    Raises:
        CheckpointFormatError: if it is not ascending, is out of range, or lacks a byte or a special id.
    """
    if any(not isinstance(i, int) or isinstance(i, bool) for i in kept):
        raise CheckpointFormatError(f"{where}: expected a JSON list of integers, the BPE ids that were kept")
    if any(low >= high for low, high in pairwise(kept)):
        raise CheckpointFormatError(f"{where}: the kept BPE ids must be ascending, without repeats")
    if kept and not 0 <= kept[0] <= kept[-1] < FULL_VOCABULARY:
        raise CheckpointFormatError(f"{where}: a kept BPE id is outside 0..{FULL_VOCABULARY - 1}")
    missing = sorted({*range(BYTES), START, END} - set(kept))
    if missing:
        raise CheckpointFormatError(
            f"{where}: BPE id {missing[0]} must be kept ({len(missing)} of the {BYTES} bytes, "
            "start and end of text are missing), or some text could not be written"
        )


class ClipTokenizer:
    """Texts to rows of the token embedding.

    Args:
        context_length: most tokens of a text, start and end of text included.
        kept: ascending BPE ids of the embedding's rows; None for all 49,408. A token that
            is not kept is taken apart along the merges that made it, down to kept ones.
    """

    def __init__(self, context_length: int, kept: Sequence[int] | None = None) -> None:
        self.context_length = context_length
        self._row = None if kept is None else {bpe_id: row for row, bpe_id in enumerate(kept)}
        self.start = START if self._row is None else self._row[START]
        self.end = END if self._row is None else self._row[END]
        self._word_rows = lru_cache(maxsize=2**16)(self._merge)

    def encode(self, text: str) -> tuple[list[int], bool]:
        """Return a text's rows, start and end of text included, and whether it was cut.

        The end-of-text row is always last: a text that spells it out ends there, as pooling
        at the first one would have it; a text that is too long keeps it in the last place.
        """
        room = self.context_length - 1
        rows = [self.start]
        for word in clip_bpe().pat.findall(clean(text)):
            for offset in range(0, len(word), LONGEST_WORD):
                rows.extend(self._word_rows(word[offset : offset + LONGEST_WORD]))
                if len(rows) > room:
                    break
            if self.end in rows[-1:] or len(rows) > room:
                break
        if self.end in rows:
            rows = rows[: rows.index(self.end)]
        return [*rows[:room], self.end], len(rows) > room

    def __call__(self, texts: Sequence[str]) -> TokenIds:
        """Return the rows of every text and which were cut."""
        pairs = [self.encode(text) for text in texts]
        truncated = np.fromiter((cut for _, cut in pairs), dtype=bool, count=len(pairs))
        return TokenIds([rows for rows, _ in pairs], truncated)

    def _merge(self, word: str) -> tuple[int, ...]:
        bpe = clip_bpe()
        symbols = "".join(bpe.byte_encoder[byte] for byte in word.encode("utf-8"))
        ids = [bpe.encoder[token] for token in bpe.bpe(symbols).split(" ")]
        return tuple(ids) if self._row is None else tuple(self._kept_rows(ids, self._row))

    def _kept_rows(self, ids: Iterable[int], row: dict[int, int]) -> list[int]:
        rows: list[int] = []
        for bpe_id in ids:
            if bpe_id in row:
                rows.append(row[bpe_id])
            else:
                left, right = merges()[bpe_id - BYTES]
                rows.extend(self._kept_rows((clip_bpe().encoder[left], clip_bpe().encoder[right]), row))
        return rows


@lru_cache(maxsize=1)
def merges() -> list[tuple[str, ...]]:
    """Return the merges in the order they were learned: entry i made id 512 + i."""
    return list(clip_bpe().bpe_ranks)
