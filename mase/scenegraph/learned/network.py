"""The network: hashed token features, a two-layer BiLSTM, and three heads (tags, attributes, relations)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import relu

from mase.scenegraph.learned.candidates import (
    BETWEENS,
    DISTANCES,
    RUN_PLACES,
    AttributePairs,
    EntityPairs,
)
from mase.scenegraph.learned.reading import ROLES, Sentence
from mase.scenegraph.learned.spans import TAGS


@dataclass(frozen=True)
class Sizes:
    """Widths and table sizes of the network."""

    words: int = 8192
    affixes: int = 1024
    classes: int = 64
    word_width: int = 56
    affix_width: int = 16
    class_width: int = 16
    hidden: int = 128
    pair: int = 160
    predicates: int = 240
    dropout: float = 0.33


def token_features(sentences: Sequence[Sentence], sizes: Sizes) -> Int[Tensor, "B n 6"]:
    """Return the table rows of each token: word, suffix, prefix, tag, word class, role in the rules' graph.

    The sentences have one length. Row 0 of the word table stands for a dropped word.
    """
    return torch.tensor(
        [
            [
                (*_word_rows(word, sizes), _row(tag, sizes.classes), _row(code, sizes.classes), role)
                for word, tag, code, role in zip(s.words, s.tags, s.codes, s.roles, strict=True)
            ]
            for s in sentences
        ],
        dtype=torch.int64,
    )


@lru_cache(maxsize=50_000)
def _word_rows(word: str, sizes: Sizes) -> tuple[int, int, int]:
    return _row(word, sizes.words), _row(f"s{word[-3:]}", sizes.affixes), _row(f"p{word[:3]}", sizes.affixes)


@lru_cache(maxsize=4096)
def _row(text: str, rows: int) -> int:
    return 1 + zlib.crc32(text.encode("utf-8", "replace")) % (rows - 1)


class ParserNetwork(nn.Module):
    """Score tags, attribute links and relations of sentences.

    Args:
        sizes: see `Sizes`.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, pair = 2 * sizes.hidden, sizes.pair
        self.word = nn.Embedding(sizes.words, sizes.word_width)
        self.affix = nn.Embedding(sizes.affixes, sizes.affix_width)
        self.kind = nn.Embedding(sizes.classes, sizes.class_width)
        self.code = nn.Embedding(sizes.classes, sizes.class_width)
        self.role = nn.Embedding(len(ROLES), sizes.class_width)
        entry = sizes.word_width + 2 * sizes.affix_width + 3 * sizes.class_width
        self.encoder = nn.LSTM(entry, sizes.hidden, 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(sizes.dropout)
        self.tag = nn.Sequential(nn.Linear(width, pair), nn.ReLU(), nn.Linear(pair, len(TAGS)))
        self.of_attribute = nn.Linear(width, pair)
        self.of_described = nn.Linear(width, pair)
        self.attribute_distance = nn.Embedding(DISTANCES, pair)
        self.attribute_rule = nn.Embedding(2, pair)
        self.described = nn.Linear(pair, 1)
        self.of_subject = nn.Linear(width, pair)
        self.of_object = nn.Linear(width, pair)
        self.of_between = nn.Linear(width, pair, bias=False)
        self.of_run = nn.Linear(width, pair)
        self.pair_distance = nn.Embedding(DISTANCES, pair)
        self.pair_between = nn.Embedding(BETWEENS, pair)
        self.rule_forth = nn.Embedding(sizes.predicates + 2, pair)
        self.rule_back = nn.Embedding(sizes.predicates + 2, pair)
        self.run_place = nn.Embedding(RUN_PLACES, pair)
        self.predicate = nn.Linear(pair, sizes.predicates + 2)
        self.run = nn.Linear(pair, 1)

    def encode(self, rows: Int[Tensor, "B n 6"]) -> Float[Tensor, "B n H"]:
        """Return the states of tokens; see `token_features` for the rows."""
        parts = (
            self.word(rows[..., 0]),
            self.affix(rows[..., 1]),
            self.affix(rows[..., 2]),
            self.kind(rows[..., 3]),
            self.code(rows[..., 4]),
            self.role(rows[..., 5]),
        )
        return self.dropout(self.encoder(self.dropout(torch.cat(parts, dim=-1)))[0])

    def attribute_logits(self, states: Float[Tensor, "B n H"], pairs: AttributePairs) -> Float[Tensor, "P"]:
        """Return for each pair the logit that the attribute describes the entity."""
        flat = states.flatten(0, 1)
        features = torch.tensor(pairs.features, dtype=torch.int64).view(-1, 2)
        mixed = (
            self.of_attribute(_span_states(flat, pairs.attribute))
            + self.of_described(_span_states(flat, pairs.entity))
            + self.attribute_distance(features[:, 0])
            + self.attribute_rule(features[:, 1])
        )
        return self.described(self.dropout(relu(mixed))).squeeze(-1)

    def relation_logits(
        self, states: Float[Tensor, "B n H"], pairs: EntityPairs
    ) -> tuple[Float[Tensor, "P C"], Float[Tensor, "P R"]]:
        """Return logits of no relation, the rules' predicate and the closed set; and of copying each run.

        The first column is for no relation, the second for the rules' predicate (-inf where
        they have none); padded runs are -inf.
        """
        flat = states.flatten(0, 1)
        features = torch.tensor(pairs.features, dtype=torch.int64).view(-1, 4)
        mixed = (
            self.of_subject(_span_states(flat, pairs.subject))
            + self.of_object(_span_states(flat, pairs.object))
            + self.of_between(_means_between(states, pairs))
            + self.pair_distance(features[:, 0])
            + self.pair_between(features[:, 1])
            + self.rule_forth(features[:, 2])
            + self.rule_back(features[:, 3])
        )
        closed = self.predicate(self.dropout(relu(mixed)))
        no_rule = torch.zeros_like(closed, dtype=torch.bool)
        no_rule[:, 1] = features[:, 2] == 0
        runs = torch.from_numpy(pairs.run_array())
        padded: Bool[Tensor, "P R"] = runs[..., 0] < 0
        runs = runs.clamp(min=0)
        states_of_runs = (flat[runs[..., 1]] + flat[runs[..., 2]]) / 2
        copied = relu(mixed[:, None] + self.of_run(states_of_runs) + self.run_place(runs[..., 3]))
        logits = self.run(self.dropout(copied)).squeeze(-1)
        return closed.masked_fill(no_rule, -torch.inf), logits.masked_fill(padded, -torch.inf)


def _span_states(flat: Float[Tensor, "T H"], ranges: Sequence[tuple[int, int]]) -> Float[Tensor, "P H"]:
    """Return the mean of the states of first and last token."""
    rows = torch.tensor(ranges, dtype=torch.int64).view(-1, 2)
    return (flat[rows[:, 0]] + flat[rows[:, 1]]) / 2


def _means_between(states: Float[Tensor, "B n H"], pairs: EntityPairs) -> Float[Tensor, "P H"]:
    """Return the mean state of the tokens between the two entities of each pair, 0 for none."""
    sums = torch.nn.functional.pad(states.cumsum(1), (0, 0, 1, 0))
    sentence = torch.tensor(pairs.keys, dtype=torch.int64).view(-1, 3)[:, 0]
    start, end = torch.tensor(pairs.between, dtype=torch.int64).view(-1, 2).unbind(1)
    return (sums[sentence, end] - sums[sentence, start]) / (end - start).clamp(min=1)[:, None]
