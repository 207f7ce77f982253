"""Texts with hidden words: captions to learn from, and the templates' sentences of a probe.

A hidden word is written `[MASK]` once for each of its tokens (`mase.params.task.MASK`), so the number of
blanks and the tokens that fill them follow from the tokenizer. Towers and parser read the same text
with white space of equal length instead: no proxy and no node is made of an answer or of a blank.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transformers import AddedToken, PreTrainedTokenizerBase

from mase import seeds
from mase.data import Rows
from mase.data.nouns import WORD
from mase.data.probes import filled
from mase.errors import ParamsError
from mase.params import TaskParams
from mase.params.task import MASK

SHARE = 0.15  # of a text's words are hidden, at least one (Devlin et al. 2019), whole words
MOST_PIECES = 8  # tokens of a label
BLANKS = re.compile(f"(?:{re.escape(MASK)})+")
IGNORED = -100  # target where there is no blank; torch's cross entropy leaves it out


def check_mask_token(tokenizer: PreTrainedTokenizerBase, backbone: str) -> None:
    """Refuse a tokenizer that cannot hide a word.

    Raises:
        ParamsError: if it has no mask token, or one that is longer or shorter than `[MASK]`.
    """
    token = tokenizer.mask_token
    if not isinstance(token, str):
        raise ParamsError(
            f"backbone {backbone} has no mask token, so it cannot fill in a hidden word; take a masked "
            "language model (minilm, bert-base, roberta-base, modernbert-base) or the supervised task"
        )
    if len(token) != len(MASK):
        raise ParamsError(
            f"backbone {backbone}: its mask token {token!r} is not {len(MASK)} characters long like {MASK}, "
            "so that entities would lose their places"
        )


def prepare_mask_token(tokenizer: PreTrainedTokenizerBase, backbone: str) -> None:
    """Make a tokenizer's mask token stand for a word with the space before it; the tokenizer is changed.

    Where a word's first token holds that space (RoBERTa, ModernBERT), it would else be left as a token of
    its own, which no text without a blank has. Most checkpoints have it so already.

    Raises:
        ParamsError: as `check_mask_token`.
    """
    check_mask_token(tokenizer, backbone)
    stripped = AddedToken(str(tokenizer.mask_token), lstrip=True, normalized=False, special=True)
    tokenizer.add_special_tokens({"mask_token": stripped})


def without_blanks(text: str) -> str:
    """Return a text whose blanks are white space; every other character keeps its place."""
    return BLANKS.sub(lambda blank: " " * len(blank.group()), text)


def pieces(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
) -> list[list[list[int]]]:
    """Return the token ids of some words of each text, (start, end) characters, where they stand."""
    coded = tokenizer(list(texts), return_offsets_mapping=True, add_special_tokens=False, verbose=False)
    found = []
    for ids, offsets, wanted in zip(coded["input_ids"], coded["offset_mapping"], spans, strict=True):
        places = [
            [token for token, (a, b) in zip(ids, offsets, strict=True) if a < end and b > start]
            for start, end in wanted
        ]
        found.append(places)
    return found


def _drawn(text: str, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return the words of a text that are hidden, in order."""
    spans = [match.span() for match in WORD.finditer(text)]
    count = max(1, round(SHARE * len(spans)))
    return [spans[index] for index in sorted(generator.choice(len(spans), size=count, replace=False))]


def hide_words(rows: Rows, tokenizer: PreTrainedTokenizerBase, split_seed: int) -> Rows:
    """Return texts with words hidden; `references` are the words, in order.

    Which words depends on the row's id and the split seed alone, so it is the same in every epoch,
    for every seed, method and backbone.
    """
    drawn = [
        _drawn(text, seeds.numpy_generator(split_seed, f"hidden words/{name}"))
        for name, text in zip(rows.ids, rows.texts_a, strict=True)
    ]
    texts, words = [], []
    for text, spans, tokens in zip(rows.texts_a, drawn, pieces(tokenizer, rows.texts_a, drawn), strict=True):
        words.append(tuple(text[start:end] for start, end in spans))
        for (start, end), ids in zip(reversed(spans), reversed(tokens), strict=True):
            text = text[:start] + MASK * len(ids) + text[end:]
        texts.append(text)
    return replace(rows, texts_a=tuple(texts), references=tuple(words))


@dataclass(frozen=True)
class LabelPieces:
    """The tokens of a probe's labels.

    Attributes:
        ids: (L, `MOST_PIECES`) token ids, 0 beyond a label's own.
        counts: (L,) tokens of each label.
    """

    ids: np.ndarray
    counts: np.ndarray

    @property
    def lengths(self) -> list[int]:
        """Return the different numbers of tokens, ascending: each template is asked with so many blanks."""
        return sorted(set(self.counts.tolist()))


def label_pieces(task: TaskParams, tokenizer: PreTrainedTokenizerBase) -> LabelPieces:
    """Return the labels' tokens within a sentence, that is after a space.

    Raises:
        ParamsError: if a label has more than `MOST_PIECES`, is unknown to the tokenizer, or equals
            another one's.
    """
    before = "a "
    texts = [before + label for label in task.labels]
    spans = [[(len(before), len(text))] for text in texts]
    found = [places[0] for places in pieces(tokenizer, texts, spans)]
    ids = np.zeros((len(found), MOST_PIECES), np.int64)
    for number, (label, tokens) in enumerate(zip(task.labels, found, strict=True)):
        unknown = not tokens or tokenizer.unk_token_id in tokens
        if unknown or len(tokens) > MOST_PIECES or found.count(tokens) > 1:
            said = "unknown tokens" if unknown else f"tokens {tokenizer.convert_ids_to_tokens(tokens)}"
            raise ParamsError(
                f"label {label!r} of task {task.name} cannot be ranked by this backbone, which reads it "
                f"as {said}"
            )
        ids[number, : len(tokens)] = tokens
    return LabelPieces(ids, np.array([len(tokens) for tokens in found]))


def ask(task: TaskParams, rows: Rows, lengths: Sequence[int]) -> Rows:
    """Return the sentences of a probe: for each object each template, once for each number of blanks.

    They are in this order, and their ids are `object/template/blanks`, counted from 1.
    """
    asked = [(number, t, count) for number in range(len(rows)) for t in task.templates for count in lengths]
    order = {template: place for place, template in enumerate(task.templates, start=1)}
    index = np.array([number for number, _, _ in asked], dtype=np.int64)
    found = rows.take(index)
    return replace(
        found,
        ids=tuple(f"{rows.ids[number]}/{order[t]}/{count}" for number, t, count in asked),
        texts_a=tuple(filled(t, rows.texts_a[number], MASK * count) for number, t, count in asked),
    )


def targets(rows: Rows, tokenizer: PreTrainedTokenizerBase, blanks: np.ndarray) -> np.ndarray:
    """Return the tokens that fill the blanks of each row, (n, most blanks), `IGNORED` elsewhere.

    Args:
        rows: as `hide_words` gave them.
        blanks: (n,) blanks that each row has left, where long texts were cut.
    """
    assert rows.references is not None
    texts, spans = [], []
    for text, words in zip(rows.texts_a, rows.references, strict=True):
        whole, places = _restored(text, words)
        texts.append(whole)
        spans.append(places)
    table = np.full((len(rows), max(1, int(blanks.max(initial=0)))), IGNORED, np.int64)
    for row, places in enumerate(pieces(tokenizer, texts, spans)):
        tokens = [token for ids in places for token in ids][: blanks[row]]
        table[row, : len(tokens)] = tokens
    return table


def _restored(text: str, words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text with its words back in the blanks, and where they stand."""
    whole, end, places = "", 0, []
    for blank, word in zip(BLANKS.finditer(text), words, strict=True):
        whole += text[end : blank.start()]
        places.append((len(whole), len(whole) + len(word)))
        whole += word
        end = blank.end()
    return whole + text[end:], places
