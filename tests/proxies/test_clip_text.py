from collections.abc import Callable

import numpy as np
import pytest
import torch

from mase.params import TowerParams
from mase.proxies import build_tower, tower
from mase.proxies.clip_text import ClipTextTower, ClipTextTransformer, activate, random_weights, text_shapes
from mase.proxies.tower import length_batches

WORDS = ["cat", "drum", "red", "running", "the", "of", "\U0001f600", "Zeppelin's", "12"]
TEXTS = [" ".join(np.random.default_rng(n).choice(WORDS, n)) for n in [3, 40, 1, 0, 12, 76, 200, 7, 5, 90]]


@pytest.fixture
def random_tower(tower_params: Callable[..., TowerParams]) -> ClipTextTower:
    built = build_tower(tower_params("random", "some-seed", vocabulary=2000))
    assert isinstance(built, ClipTextTower)
    return built


def test_batches_of_like_length_give_what_one_by_one_gives(
    random_tower: ClipTextTower, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = random_tower.encode(TEXTS)
    monkeypatch.setattr(tower, "BATCH_TOKENS", 100)
    in_small_batches = random_tower.encode(TEXTS)
    one_by_one = np.concatenate([random_tower.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    np.testing.assert_allclose(in_small_batches, one_by_one, atol=1e-5)


def test_cutting_a_batch_gives_what_the_full_context_gives(random_tower: ClipTextTower) -> None:
    tokens = random_tower.tokenise(TEXTS)
    full = torch.full((len(TEXTS), 77), 5)  # whatever stands after the end of text
    for row, ids in enumerate(tokens.ids):
        full[row, : len(ids)] = torch.tensor(ids)
    with torch.inference_mode():
        vectors = random_tower.module(full, torch.tensor([len(ids) for ids in tokens.ids]))
    np.testing.assert_allclose(random_tower.encode(TEXTS), vectors.numpy(), atol=1e-5)


def test_the_last_block_at_one_position_is_the_whole_block_there(random_tower: ClipTextTower) -> None:
    block = random_tower.module.transformer["resblocks"][0]
    states, position = torch.randn(3, 9, 32), torch.tensor([0, 4, 8])
    torch.testing.assert_close(
        block.at(states, position)[:, 0], block(states)[torch.arange(3), position], atol=1e-6, rtol=1e-5
    )


def test_a_later_token_does_not_change_an_earlier_state(random_tower: ClipTextTower) -> None:
    block = random_tower.module.transformer["resblocks"][0]
    states = torch.randn(1, 6, 32)
    changed = states.clone()
    changed[:, 4:] += 1.0
    torch.testing.assert_close(block(states)[:, :4], block(changed)[:, :4])
    assert not torch.allclose(block(states)[:, 4:], block(changed)[:, 4:])


def test_truncated_texts_are_counted_and_equal_their_readable_part(
    tower_params: Callable[..., TowerParams],
) -> None:
    short = build_tower(tower_params("random", "some-seed", vocabulary=2000, context_length=6))
    vectors, truncated = short.encode_checked(["a b c d", "a b c d e", "a b c d f g h"])
    assert truncated.tolist() == [False, True, True]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-6)


def test_activations_have_hand_worked_values() -> None:
    one = torch.tensor([1.0])
    assert activate(one, "quick_gelu").item() == pytest.approx(0.845796, abs=1e-6)  # 1 / (1 + exp(-1.702))
    assert activate(one, "gelu").item() == pytest.approx(0.841345, abs=1e-6)  # Phi(1)


def test_random_weights_follow_clip_and_depend_on_seed_and_ref_only(
    tower_params: Callable[..., TowerParams],
) -> None:
    params = tower_params("random", "a", vocabulary=2000)
    weights = random_weights(params, 0)
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == text_shapes(params)
    assert weights["token_embedding.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    hidden = weights["transformer.resblocks.1.mlp.c_fc.weight"]
    assert hidden.std().item() == pytest.approx(64**-0.5, rel=0.05)
    output = weights["transformer.resblocks.0.attn.out_proj.weight"]
    assert output.std().item() == pytest.approx(32**-0.5 / 2, rel=0.1)
    assert (weights["ln_final.weight"] == 1).all()
    assert (weights["transformer.resblocks.0.ln_1.bias"] == 0).all()
    digest = build_tower(params).digest
    assert build_tower(params.model_copy(update={"name": "b", "modality": "audio"})).digest == digest
    assert build_tower(params, seed=1).digest != digest
    assert build_tower(params.model_copy(update={"ref": "b"})).digest != digest
    assert build_tower(params.model_copy(update={"activation": "gelu"})).digest != digest


def test_building_a_tower_leaves_the_global_generator_alone(tower_params: Callable[..., TowerParams]) -> None:
    state = torch.get_rng_state()
    build_tower(tower_params("random", "a", vocabulary=2000))
    assert torch.equal(state, torch.get_rng_state())


def test_a_tower_has_no_trainable_parameter_and_its_module_can_learn(random_tower: ClipTextTower) -> None:
    assert not any(parameter.requires_grad for parameter in random_tower.module.parameters())
    params = TowerParams(name="t", modality="image", format="random", ref="a", width=8, layers=1, heads=2)
    module = ClipTextTransformer(params)
    module.load_state_dict(random_weights(params, 0))
    module(torch.tensor([[1, 2, 3]]), torch.tensor([3])).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_length_batches_cover_every_text_once_within_their_bounds() -> None:
    lengths = [5, 90, 2, 2, 30, 7, 7, 1]
    batches = list(length_batches(lengths, tokens=30, texts=3))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) <= 3
        assert len(batch) == 1 or longest * len(batch) <= 30
    assert list(length_batches([], tokens=30, texts=3)) == []
