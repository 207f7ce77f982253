"""Beam search over a decoder whose next-token probabilities are a small table."""

from itertools import product

import pytest
import torch
from torch import Tensor

from mase.model.beam_search import beam_search
from mase.model.decoder import Decoder, Written
from mase.model.memory import Memory, Projected

START, END, PAD, A, B = range(5)
LENGTH = 4


class Table(Decoder):
    """Logits of the next token from the last two, looked up in the (5, 5) table of the row of a beam."""

    def __init__(self, tables: Tensor):
        super().__init__((START, END, PAD))
        self.tables = tables

    def begin(self, memory: Memory) -> Written:
        assert memory.states is not None
        return TableWritten([], row=memory.states[:, 0, 0].long())

    def states(self, ids: Tensor, written: Written) -> Tensor:
        assert isinstance(written, TableWritten)
        last, before, written.before = ids[:, -1], written.before, ids[:, -1]
        return (self.tables[written.row, last] + self.tables[written.row, before]).unsqueeze(1)

    def logits(self, states: Tensor) -> Tensor:
        return states


class TableWritten(Written):
    def __init__(self, memory: list[Projected], row: Tensor):
        super().__init__(memory)
        self.row, self.before = row, torch.full_like(row, START)

    def repeated(self, rows: Tensor) -> "TableWritten":
        return TableWritten([], self.row[rows])

    def reorder(self, rows: Tensor) -> None:
        self.row, self.before = self.row[rows], self.before[rows]


def tables(rows: int, seed: int = 0) -> Tensor:
    logits = torch.randn(rows, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2
    logits[:, :, [START, PAD]] = -torch.inf
    return logits.log_softmax(-1)


def memory(rows: Tensor) -> Memory:
    return Memory(rows.float()[:, None, None], torch.ones(len(rows), 1, dtype=torch.bool), None)


def logs(table: Tensor, *last: int) -> Tensor:
    """Return log p of the token after the last two."""
    return sum((table[token] for token in last), torch.zeros(5)).log_softmax(-1)


def best_by_enumeration(table: Tensor) -> list[int]:
    """Return the sentence with the highest mean log probability among all that end, or are cut."""
    found: list[tuple[float, list[int]]] = []
    for size in range(1, LENGTH + 1):
        for body in product((A, B), repeat=size - 1):
            last = (END,) if size < LENGTH else (END, A, B)
            for token in last:
                sentence = [*body, token]
                known = [START, START, *sentence]
                total = sum(
                    float(logs(table, *known[place : place + 2])[now]) for place, now in enumerate(sentence)
                )
                found.append((total / size, sentence))
    return max(found)[1]


def test_beams_enough_for_all_sentences_find_the_best_ones_unless_it_stops_before() -> None:
    found = beam_search(Table(tables(40)), memory(torch.arange(40)), 40, beams=16, length=LENGTH)
    best = [best_by_enumeration(table) for table in tables(40)]
    same = [
        row[: len(b)].tolist() == b and (row[len(b) :] == PAD).all()
        for row, b in zip(found, best, strict=True)
    ]
    assert sum(map(bool, same)) >= 36  # a row stops where its best finished sentence leads


def test_one_beam_is_greedy() -> None:
    many = tables(30, seed=1)
    found = beam_search(Table(many), memory(torch.arange(30)), 30, beams=1, length=LENGTH)
    for table, row in zip(many, found, strict=True):
        known = [START, START]
        while len(known) < LENGTH + 2 and known[-1] != END:
            known.append(int(logs(table, *known[-2:]).argmax()))
        sentence = known[2:]
        assert row.tolist() == sentence + [PAD] * (LENGTH - len(sentence))


def test_more_beams_find_a_likelier_sentence() -> None:
    table = torch.full((1, 5, 5), -9.0)
    table[0, START, A], table[0, START, B] = -0.6, -0.8  # A looks better at first
    table[0, A, [END, A, B]] = torch.tensor([-1.0, -1.1, -1.1])  # and leads nowhere
    table[0, B, END] = 15.0  # after B the sentence is sure to end
    narrow = beam_search(Table(table), memory(torch.zeros(1)), 1, beams=1, length=2)
    wide = beam_search(Table(table), memory(torch.zeros(1)), 1, beams=2, length=2)
    assert narrow[0, 0] == A and wide.tolist() == [[B, END]]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_rows_sentence_does_not_depend_on_the_others(beams: int) -> None:
    decoder = Table(tables(12, seed=2))
    whole = beam_search(decoder, memory(torch.arange(12)), 12, beams=beams, length=LENGTH)
    for row in range(12):
        one = beam_search(decoder, memory(torch.tensor([row])), 1, beams=beams, length=LENGTH)
        assert torch.equal(one[0], whole[row])


def test_a_sentence_without_an_end_is_cut() -> None:
    table = torch.full((1, 5, 5), -torch.inf)
    table[0, :, A] = 0.0
    assert beam_search(Table(table), memory(torch.zeros(1)), 1, beams=2, length=3).tolist() == [[A, A, A]]
