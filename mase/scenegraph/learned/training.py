"""Fit the network: gold spans and links from aligned captions, averaged weights, fixed order."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from mase import seeds
from mase.scenegraph.learned.alignment import Alignment, Range
from mase.scenegraph.learned.candidates import EntityPairs, attribute_pairs, entity_pairs
from mase.scenegraph.learned.decoding import CLOSED, NONE, RULE
from mase.scenegraph.learned.network import ParserNetwork, Sizes, token_features
from mase.scenegraph.learned.reading import Sentence
from mase.scenegraph.learned.spans import Spans, spans_of_alignment, tags_of
from mase.scenegraph.learned.vocabulary import Vocabulary, copied_predicate

WORD_DROPOUT = 0.12
CLIP = 5.0


@dataclass(frozen=True)
class Example:
    """A caption of one sentence with its aligned gold graph."""

    sentence: Sentence
    gold: Alignment

    @cached_property
    def spans(self) -> Spans:
        """Return the gold spans."""
        return spans_of_alignment(self.gold)


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    epochs: int = 9
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 1e-3
    average: float = 0.999
    seed: int = 0


def fit(
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    recipe: Recipe,
    sizes: Sizes | None = None,
    *,
    report: Callable[[int, float, ParserNetwork], None] | None = None,
) -> ParserNetwork:
    """Train a network; the same examples and recipe give the same weights on one machine.

    Args:
        examples: aligned captions.
        vocabulary: counted on them.
        recipe: see `Recipe`.
        sizes: the predicates are set to the vocabulary's number.
        report: called after each epoch with its number, mean loss and the averaged network.

    Returns:
        The network with exponentially averaged weights, in evaluation mode.
    """
    seeds.seed_everything(seeds.derive(recipe.seed, "parser"))
    network = ParserNetwork(replace(sizes or Sizes(), predicates=len(vocabulary.predicates)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    order = seeds.numpy_generator(recipe.seed, "parser/order")
    steps = recipe.epochs * sum(1 for _ in _batches(examples, recipe.batch, order))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps + 1, pct_start=0.1
    )
    averaged = deepcopy(network).eval()
    step = 0
    for epoch in range(recipe.epochs):
        losses: list[float] = []
        network.train()
        for batch in _batches(examples, recipe.batch, order):
            loss = batch_loss(network, vocabulary, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            step += 1
            _move_average(averaged, network, min(recipe.average, step / (step + 9)))
            losses.append(loss.item())
        if report is not None:
            report(epoch, float(np.mean(losses)), averaged)
    return averaged


@torch.no_grad()
def _move_average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
        old.lerp_(new, 1 - decay)


def _batches(examples: Sequence[Example], size: int, order: np.random.Generator) -> Iterator[list[Example]]:
    """Yield batches of sentences of one length, in random order."""
    by_length: defaultdict[int, list[Example]] = defaultdict(list)
    for place in order.permutation(len(examples)):
        by_length[len(examples[place].sentence)].append(examples[place])
    batches = [group[i : i + size] for group in by_length.values() for i in range(0, len(group), size)]
    for place in order.permutation(len(batches)):
        yield batches[place]


def batch_loss(network: ParserNetwork, vocabulary: Vocabulary, batch: Sequence[Example]) -> Tensor:
    """Return the sum of the three heads' mean losses per sentence."""
    sentences = [example.sentence for example in batch]
    spans = [example.spans for example in batch]
    rows = token_features(sentences, network.sizes)
    if network.training:
        rows[..., 0] *= torch.rand(rows.shape[:2]) >= WORD_DROPOUT
    states = network.encode(rows)
    tags = torch.tensor([tags_of(s, len(sentences[0])) for s in spans])
    loss = cross_entropy(network.tag(states).flatten(0, 1), tags.flatten(), reduction="sum")
    links = attribute_pairs(sentences, spans)
    if links.keys:
        truth = torch.tensor(
            [
                float((spans[n].attributes[a], spans[n].entities[e]) in batch[n].gold.described)
                for n, a, e in links.keys
            ]
        )
        loss = loss + binary_cross_entropy_with_logits(
            network.attribute_logits(states, links), truth, reduction="sum"
        )
    ids = {predicate: place for place, predicate in enumerate(vocabulary.predicates)}
    pairs = entity_pairs(sentences, spans, ids)
    if pairs.keys:
        loss = loss + relation_loss(
            torch.cat(network.relation_logits(states, pairs), dim=1), _truth(batch, pairs, ids)
        )
    return loss / len(batch)


def relation_loss(logits: Tensor, truth: Bool[Tensor, "P C"]) -> Tensor:
    """Return the summed negative log-likelihood of any true candidate; rows without one do not count."""
    reachable = truth.any(1)
    logits, truth = logits[reachable], truth[reachable]
    return (logits.logsumexp(1) - logits.masked_fill(~truth, -torch.inf).logsumexp(1)).sum()


def _truth(batch: Sequence[Example], pairs: EntityPairs, ids: dict[str, int]) -> Bool[Tensor, "P C"]:
    """Return which candidates give a gold predicate: none, the rules', the closed set, the runs."""
    closed = CLOSED + len(ids)
    truth = np.zeros((len(pairs.keys), closed + max(map(len, pairs.runs))), dtype=bool)
    gold: defaultdict[tuple[int, Range, Range], set[str]] = defaultdict(set)
    for number, example in enumerate(batch):
        for subject, target, predicate in example.gold.relations:
            gold[number, subject, target].add(predicate)
    for row, (number, subject, target) in enumerate(pairs.keys):
        sentence, spans = batch[number].sentence, batch[number].spans
        first, second = spans.entities[subject], spans.entities[target]
        names = gold.get((number, first, second), set())
        truth[row, NONE] = not names
        truth[row, RULE] = sentence.rule_relations.get((first[1] - 1, second[1] - 1)) in names
        truth[row, [CLOSED + ids[name] for name in names if name in ids]] = True
        for place, (index, *_) in enumerate(pairs.runs[row]):
            truth[row, closed + place] = copied_predicate(sentence, spans.runs[index]) in names
    return torch.from_numpy(truth)
