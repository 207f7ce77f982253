"""Which words of a text are looked up, by syntax or by a tower's attention, and where their tokens end."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mase.errors import ParamsError
from mase.model.tokens import TokenTable
from mase.params import Params
from mase.proxies import Tower, build_tower
from mase.proxies.attention import word_attention
from mase.proxies.clip_text import ClipTextTower
from mase.scenegraph.tagger import default_tagger
from mase.scenegraph.tokens import sentence_spans, word_spans

PROMPT = "a photo of: {}"
VISUAL_TAGS = ("NN", "JJ")  # what the Penn tags of nouns and adjectives start with


class Word(NamedTuple):
    """A word of a text, by its characters [start, end), and its Penn tag."""

    start: int
    end: int
    tag: str


def words_of(texts: Iterable[str]) -> dict[str, list[Word]]:
    """Return the words of each distinct text, in order; punctuation marks are none."""
    unique = sorted(set(texts))
    sentences = [(text, word_spans(text, *span)) for text in unique for span in sentence_spans(text)]
    tags = default_tagger().tag_batch([[text[a:b] for a, b in spans] for text, spans in sentences])
    found: dict[str, list[Word]] = {text: [] for text in unique}
    for (text, spans), names in zip(sentences, tags, strict=True):
        for (start, end), tag in zip(spans, names, strict=True):
            if any(letter.isalnum() for letter in text[start:end]):
                found[text].append(Word(start, end, tag))
    return found


def candidates(params: Params, texts: Iterable[str]) -> dict[str, list[Word]]:
    """Return the words of each distinct text that may be looked up, as far as no model has to be asked.

    By syntax that is the selection; else all words.
    """
    found = words_of(texts)
    if params.vawi.selector != "syntax":
        return found
    return {
        t: [w for w in words if w.tag.startswith(VISUAL_TAGS)][: params.vawi.words]
        for t, words in found.items()
    }


def selected(params: Params, texts: Iterable[str]) -> dict[str, list[Word]]:
    """Return the words of each distinct text that are looked up; the learned selector chooses later.

    Raises:
        ParamsError: if attention is asked of a tower that is not CLIP's text transformer.
    """
    found = candidates(params, texts)
    if params.vawi.selector != "attention":
        return found
    tower: Tower = build_tower(params.towers["image"], params.seed)
    if not isinstance(tower, ClipTextTower):
        raise ParamsError(
            f"vawi.selector: attention needs CLIP's text transformer, and tower {tower.name} is another; "
            "choose syntax or learned"
        )
    shares = word_attention(tower, [[t[w.start : w.end] for w in words] for t, words in found.items()])
    return {
        text: [words[i] for i in _highest(share, params.vawi.words)]
        for (text, words), share in zip(found.items(), shares, strict=True)
    }


def _highest(shares: np.ndarray, count: int) -> list[int]:
    """Return the places of the highest shares, in order; of equal ones, the first."""
    return sorted(np.argsort(-shares, kind="stable")[:count].tolist())


def prompt_of(text: str, word: Word) -> str:
    """Return what the tower reads of a word."""
    return PROMPT.format(text[word.start : word.end].lower())


def last_tokens(tokens: TokenTable, row: int, sentence: int, words: Sequence[Word]) -> np.ndarray:
    """Return where each word's last token stands in a row, (words,); -1 for one that was cut off."""
    span = slice(tokens.pointer[row], tokens.pointer[row + 1])
    own = np.flatnonzero((tokens.segment[span] == sentence) & (tokens.end[span] > tokens.start[span]))
    if not len(own) or not words:
        return np.full(len(words), -1, dtype=np.int64)
    start, end = tokens.start[span][own], tokens.end[span][own]
    last = np.searchsorted(start, [word.end for word in words]) - 1
    reached = (last >= 0) & (end[last] > np.array([word.start for word in words]))
    return np.where(reached, own[last], -1)
