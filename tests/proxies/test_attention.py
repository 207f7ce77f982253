"""The tower's attention from its end of text, against torch's own multi-head attention."""

import numpy as np
import pytest
import torch

from mase.proxies import load_tower
from mase.proxies.attention import end_attention, word_attention
from mase.proxies.clip_text import ClipTextTower

TEXTS = (("two", "dogs", "run"), ("a", "skyscraper"), ())


@pytest.fixture(scope="module")
def tower() -> ClipTextTower:
    found = load_tower("random-image")
    assert isinstance(found, ClipTextTower)
    with torch.inference_mode():
        for parameter in found.module.parameters():
            parameter.mul_(2)  # a fresh tower looks everywhere alike
    return found


def by_torch(tower: ClipTextTower, ids: list[int]) -> np.ndarray:
    """Return the last row of the last layer's attention of one text, from `nn.MultiheadAttention`."""
    module = tower.module
    states = (module.token_embedding(torch.tensor([ids])) + module.positional_embedding[: len(ids)]).cpu()
    blocks = list(module.transformer["resblocks"])
    for block in blocks[:-1]:
        states = block(states)
    last = blocks[-1]
    twin = torch.nn.MultiheadAttention(states.shape[-1], last.attn.heads, batch_first=True)
    twin.load_state_dict(last.attn.state_dict())
    states = last.ln_1(states)
    future = torch.ones(len(ids), len(ids)).triu(1).bool()
    return twin(states, states, states, attn_mask=future)[1][0, -1].numpy()


@torch.inference_mode()
def test_it_is_the_last_layers_attention_from_the_end_of_text(tower):
    rows = [tower.tokenizer.encode(" ".join(words))[0] for words in TEXTS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    found = end_attention(tower, ids, torch.tensor([len(row) for row in rows])).numpy()
    for row, attention in zip(rows, found, strict=True):
        np.testing.assert_allclose(attention[: len(row)], by_torch(tower, row), atol=1e-5)
        assert not attention[len(row) :].any()
    assert np.ptp(found[0][:5]) > 0.01


@torch.inference_mode()
def test_a_word_has_the_sum_of_its_tokens_and_one_beyond_the_context_nothing(tower):
    first, second, empty = word_attention(tower, TEXTS)
    ids = tower.tokenizer.encode("a skyscraper")[0]
    attention = by_torch(tower, ids)
    np.testing.assert_allclose(second, [attention[1], attention[2:-1].sum()], atol=1e-5)
    assert len(ids) > 4 and first.shape == (3,) and empty.shape == (0,)
    long = ["dog"] * (tower.context_length + 5)
    (shares,) = word_attention(tower, [long])
    pieces = len(tower.tokenizer.encode("dog")[0]) - 2
    read = -(-(tower.context_length - 2) // pieces)
    assert np.count_nonzero(shares[:read]) == read and not shares[read:].any()
