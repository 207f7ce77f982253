"""An averaged-perceptron part-of-speech tagger (Penn tags) whose scores are table look-ups.

The model is NLTK's averaged perceptron (Collins 2002) with features that each look at
one word, at an offset of -2 to +2, or at the two tags before. So the sum of a word's
feature weights is computed once per word type and offset, and a batch of sentences is
tagged in step, position by position, with one gather and one argmax. Weights are
integers: the tags do not depend on the batch or on the machine. A tag of a closed class
(determiner, preposition, ...) is given only to words that had it in the training data.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mase.errors import ScenegraphError

WEIGHTS = Path(__file__).parent / "weights" / "tagger.npz"
OFFSETS = (-2, -1, 0, 1, 2)
START, END, UNCASED = "\x02", "\x03", "\x04"
CAPACITY = 20_000
FORBIDDEN = -10_000
OPEN_TAGS = frozenset("NN NNS NNP NNPS JJ JJR JJS RB VB VBP VBD VBZ VBN VBG CD FW ADD NFP SYM LS".split())


def word_features(word: str, lexicon: Mapping[str, str]) -> tuple[list[str], ...]:
    """Return the feature names of a word at each offset of `OFFSETS`.

    Args:
        word: a word; with `START` before it, a capitalised one that begins a sentence; with `UNCASED`
            before it, one of a sentence without capitals; `START` and `END` alone stand for what is outside.
        lexicon: the usual tags of frequent words, by lower-case word.
    """
    if word in (START, END):
        return [f"-2w={word}"], [f"-1w={word}"], [], [f"+1w={word}"], [f"+2w={word}"]
    mode = word[0] if word[0] in (START, UNCASED) and len(word) > 1 else ""
    bare = word[len(mode) :]
    lower = bare.lower()
    shape = mode + _shape(bare)
    usual = lexicon.get(lower, "?")
    affixes = [f"s{n}={lower[-n:]}" for n in (1, 2, 3, 4) if n < len(lower)]
    affixes += [f"p{n}={lower[:n]}" for n in (1, 2, 3) if n < len(lower)]
    near = [f"w={lower}", f"s3={lower[-3:]}", f"h={shape}", f"u={usual}"]
    return (
        [f"-2w={lower}"],
        [f"-1{f}" for f in near],
        ["b", f"w={lower}", f"h={shape}", f"u={usual}", *affixes],
        [f"+1{f}" for f in near],
        [f"+2w={lower}", f"+2s3={lower[-3:]}", f"+2u={usual}"],
    )


def tag_features(before: str, before_that: str) -> list[str]:
    """Return the feature names of the two tags before, nearest first."""
    return [f"t1={before}", f"t2={before_that}", f"t12={before},{before_that}"]


def _shape(word: str) -> str:
    if word.isalpha() and word.islower():
        return "a"
    kind = "A" if word.isupper() else "Aa" if word[:1].isupper() else "x"
    digits = "9" if any(c.isdigit() for c in word) else ""
    marks = "-" if "-" in word else "" if word.isalnum() else "."
    return kind + digits + marks


def keys_of(words: Sequence[str]) -> list[str]:
    """Return the keys under which the words of one sentence are looked up (see `word_features`)."""
    if all(word.islower() or not word.isalpha() for word in words):
        return [UNCASED + word for word in words]
    return [START + words[0] if words[0][:1].isupper() else words[0], *words[1:]]


class Tagger:
    """Give each word of a sentence one of the Penn tags.

    Args:
        tags: the tag names; a tag's position is its id.
        weights: integer weights by feature name: (tag ids, values), both (n,).
        lexicon: the usual tags of frequent words.
        closed: the words that each closed-class tag may be given to, lower case.
    """

    def __init__(
        self,
        tags: Sequence[str],
        weights: Mapping[str, tuple[np.ndarray, np.ndarray]],
        lexicon: Mapping[str, str],
        closed: Mapping[str, Iterable[str]],
    ) -> None:
        self.tags = tuple(tags)
        self._weights = weights
        self._lexicon = lexicon
        self._closed = {tag: frozenset(words) for tag, words in closed.items()}
        self._ids: dict[str, int] = {}
        self._table = np.zeros((256, len(OFFSETS), len(self.tags)), dtype=np.int16)
        self._transitions = self._transition_table()

    def tag(self, words: Sequence[str]) -> list[str]:
        """Return the tags of one sentence."""
        return self.tag_batch([words])[0]

    def tag_batch(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the tags of each sentence; words are non-empty strings."""
        if len(self._ids) > CAPACITY:
            self._ids.clear()
        lengths = np.array([len(s) for s in sentences], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths + 4)[:-1]]) if len(lengths) else lengths
        scores = self._word_scores(sentences)
        tagged = self._decode(scores, starts.astype(np.int64), lengths)
        names = self.tags
        return [[names[t] for t in tagged[s : s + n].tolist()] for s, n in zip(starts, lengths, strict=True)]

    def _word_scores(self, sentences: Iterable[Sequence[str]]) -> np.ndarray:
        """Return the summed word weights of every token, (tokens + 4 per sentence - 4, tags) int32."""
        ids: list[int] = []
        known = self._ids
        start, end = self._id_of(START), self._id_of(END)
        for words in sentences:
            ids += (start, start)
            for key in keys_of(words):
                found = known.get(key)
                ids.append(self._id_of(key) if found is None else found)
            ids += (end, end)
        row = np.array(ids, dtype=np.int64)
        size = max(len(row) - 4, 0)
        scores = np.zeros((size, len(self.tags)), dtype=np.int32)
        for place in range(len(OFFSETS)):
            scores += self._table[row[place : place + size], place]
        return scores

    def _decode(self, scores: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Tag greedily from the left, all sentences in step; return a tag id per row of `scores`."""
        tagged = np.zeros(len(scores), dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        starts, remaining = starts[order], lengths[order]
        boundary = len(self.tags)
        before = np.full(len(starts), boundary, dtype=np.int64)
        before_that = before.copy()
        active = len(starts)
        for step in range(int(lengths.max(initial=0))):
            while remaining[active - 1] <= step:
                active -= 1
            rows = starts[:active] + step
            total = scores[rows] + self._transitions[before[:active], before_that[:active]]
            tagged[rows] = chosen = total.argmax(axis=1)
            before, before_that = chosen, before[:active]
        return tagged

    def _id_of(self, key: str) -> int:
        if key not in self._ids:
            if len(self._ids) == len(self._table):
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
            place = len(self._ids)
            for offset, names in enumerate(word_features(key, self._lexicon)):
                self._table[place, offset] = self._summed(names)
            word = key.lstrip(START + UNCASED).lower()
            forbidden = [
                i for i, tag in enumerate(self.tags) if tag in self._closed and word not in self._closed[tag]
            ]
            self._table[place, OFFSETS.index(0), forbidden] += FORBIDDEN
            self._ids[key] = place
        return self._ids[key]

    def _summed(self, names: Iterable[str]) -> np.ndarray:
        total = np.zeros(len(self.tags), dtype=np.int16)
        for name in names:
            found = self._weights.get(name)
            if found is not None:
                total[found[0]] += found[1]
        return total

    def _transition_table(self) -> np.ndarray:
        """Return the summed tag weights by (tag before, tag before that, tag); the last row is for no tag."""
        names = (*self.tags, START)
        table = np.zeros((len(names), len(names), len(self.tags)), dtype=np.int32)
        for i, before in enumerate(names):
            for j, before_that in enumerate(names):
                table[i, j] = self._summed(tag_features(before, before_that))
        return table

    def save(self, path: Path) -> None:
        """Write the weights as a compressed npz of plain arrays."""
        names = sorted(self._weights)
        pointer = np.cumsum([0] + [len(self._weights[n][0]) for n in names])
        np.savez_compressed(
            path,
            tags=_as_bytes(self.tags),
            features=_as_bytes(names),
            lexicon=_as_bytes(self._lexicon),
            closed=_as_bytes({tag: sorted(words) for tag, words in self._closed.items()}),
            counts=np.diff(pointer).astype(np.uint8),
            classes=np.concatenate([self._weights[n][0] for n in names]).astype(np.uint8),
            values=np.concatenate([self._weights[n][1] for n in names]).astype(np.int16),
        )

    @classmethod
    def load(cls, path: Path) -> "Tagger":
        """Read what `save` wrote.

        Raises:
            ScenegraphError: if the file is missing or is not such a file.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                texts = ("tags", "features", "lexicon", "closed")
                tags, features, lexicon, closed = (json.loads(stored[name].tobytes()) for name in texts)
                pointer = np.concatenate([[0], np.cumsum(stored["counts"], dtype=np.int64)])
                classes, values = stored["classes"].astype(np.intp), stored["values"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as cause:
            raise ScenegraphError(
                f"{path}: no tagger weights ({cause}); train again: python -m mase.scenegraph.train_tagger"
            ) from cause
        bounds = pointer.tolist()
        pieces = zip(features, bounds, bounds[1:], strict=False)
        return cls(tags, {name: (classes[i:j], values[i:j]) for name, i, j in pieces}, lexicon, closed)


def _as_bytes(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), dtype=np.uint8)


@lru_cache(maxsize=1)
def default_tagger() -> Tagger:
    """Return the tagger that comes with the package, loaded once per process."""
    return Tagger.load(WEIGHTS)
