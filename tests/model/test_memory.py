"""Attention to a text with a soft prefix beside it, against plain softmax attention over both."""

import math

import pytest
import torch
from torch import Tensor, nn

from mase.model.memory import Memory, Prefix, Projected, attend, join_heads, project, split_heads

HEADS, WIDTH, ROWS, LENGTH, SLOTS, QUERIES = 2, 8, 3, 5, 4, 6
SCALING = 0.5


@pytest.fixture
def parts() -> tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    mask = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    mask[1, 3:] = False
    states, slots = torch.randn(ROWS, LENGTH, WIDTH), torch.randn(ROWS, SLOTS, WIDTH)
    query = split_heads(torch.randn(ROWS, QUERIES, WIDTH), HEADS)
    return query, states, mask, slots, nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)


def prefix_of(slots: Tensor, gate: float, log_odds: float) -> Prefix:
    return Prefix(slots, gate * slots, torch.tensor(gate), torch.tensor(log_odds))


def test_open_gates_give_one_softmax_over_prefix_and_text(
    parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear],
) -> None:
    query, states, mask, slots, key, value = parts
    z_text = 0.3
    log_odds = math.log((1 - z_text) / z_text)
    memory = Memory(states, mask, prefix_of(slots, 1.0, log_odds))
    found = attend(query, project(memory, key, value, HEADS), SCALING)

    both = torch.cat([slots, states], dim=1)
    bias = torch.cat([torch.full((ROWS, SLOTS), log_odds), torch.zeros(ROWS, LENGTH)], dim=1)
    bias = bias.masked_fill(torch.cat([torch.zeros(ROWS, SLOTS, dtype=torch.bool), ~mask], dim=1), -torch.inf)
    logits = query @ split_heads(key(both), HEADS).transpose(-1, -2) * SCALING + bias[:, None, None]
    expected = logits.softmax(-1) @ split_heads(value(both), HEADS)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("gate", "log_odds"), [(0.0, 0.0), (0.0, 5.0), (1.0, -200.0)])
def test_closed_gates_or_all_weight_on_text_leave_the_text_bit_for_bit(
    parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear], gate: float, log_odds: float
) -> None:
    query, states, mask, slots, key, value = parts
    text = attend(query, project(Memory(states, mask, None), key, value, HEADS), SCALING)
    memory = Memory(states, mask, prefix_of(slots, gate, log_odds))
    assert torch.equal(attend(query, project(memory, key, value, HEADS), SCALING), text)


def test_all_weight_on_the_prefix_leaves_the_prefix(
    parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear],
) -> None:
    query, states, mask, slots, key, value = parts
    alone = attend(query, project(Memory(None, None, prefix_of(slots, 1.0, 0.0)), key, value, HEADS), SCALING)
    memory = Memory(states, mask, prefix_of(slots, 1.0, 87.0))
    assert torch.allclose(attend(query, project(memory, key, value, HEADS), SCALING), alone, atol=1e-6)


def test_a_closed_gate_still_gets_a_gradient(
    parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear],
) -> None:
    query, states, mask, slots, key, value = parts
    gate = torch.zeros((), requires_grad=True)
    memory = Memory(states, mask, Prefix(slots, gate * slots, gate, torch.tensor(0.0)))
    attend(query, project(memory, key, value, HEADS), SCALING).square().sum().backward()
    assert gate.grad is not None and torch.isfinite(gate.grad) and gate.grad.abs() > 1e-3


def test_padding_is_not_read(parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear]) -> None:
    query, states, mask, slots, key, value = parts
    changed = states.clone()
    changed[~mask] = 100.0
    found, other = (
        attend(query, project(Memory(s, mask, prefix_of(slots, 1.0, 0.0)), key, value, HEADS), SCALING)
        for s in (states, changed)
    )
    assert torch.equal(found, other)


def test_a_memory_of_some_rows_is_theirs(
    parts: tuple[Tensor, Tensor, Tensor, Tensor, nn.Linear, nn.Linear],
) -> None:
    query, states, mask, slots, key, value = parts
    whole = project(Memory(states, mask, prefix_of(slots, 0.5, 0.1)), key, value, HEADS)
    rows = torch.tensor([2, 2, 0])
    assert isinstance(whole.of(rows), Projected)
    assert torch.equal(attend(query[rows], whole.of(rows), SCALING), attend(query, whole, SCALING)[rows])


def test_heads_are_joined_as_they_were_split() -> None:
    states = torch.randn(2, 3, WIDTH)
    assert torch.equal(join_heads(split_heads(states, HEADS)), states)
