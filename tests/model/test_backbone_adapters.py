"""Adapters: LoRA and soft prompts train, the backbone's weights do not, and tokens stay where they were."""

import copy

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mase.data import Rows
from mase.em.checkpoint import learned_state, restore_learned_state
from mase.errors import ParamsError
from mase.methods import build_model, trainable_parameters
from mase.model.adapters import is_adapter, lora_targets
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.cutting import LAYOUTS
from mase.model.frozen import cache_frozen_states
from mase.model.inputs import Inputs
from mase.model.tokens import tokenise
from mase.params import BackboneParams
from mase.pretrained import load_pretrained, save_pretrained
from tests.planted import plant, planted_params
from tests.tiny_backbones import FAMILIES

FIRST = ("a red bus", "the dog barks at a car", "rain")
ROWS = Rows(("a", "b", "c"), FIRST, ("rain", "two men", "a boat on the lake"), np.zeros(3, np.int64))
ADAPTERS = ("lora", "prompt")


def adapted(params, adapter, **settings) -> BackboneParams:
    return params.model_copy(update={"adapter": adapter, **settings})


def tokens_of(params):
    return tokenise(load_tokenizer(params), ROWS, 64)


def batch_of(params):
    return tokens_of(params).pad(np.arange(3))


def trainable(module) -> dict[str, torch.nn.Parameter]:
    return {n: p for n, p in module.named_parameters() if p.requires_grad}


def moved(backbone):
    """Return the backbone with adapter weights that are not their first ones."""
    torch.manual_seed(1)
    for parameter in trainable(backbone).values():
        torch.nn.init.normal_(parameter, std=0.5)
    return backbone


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_adapter_weight_and_nothing_else(family, adapter, checkpoint):
    params = adapted(checkpoint(family), adapter)
    backbone = moved(Backbone(params)).train()
    names = set(trainable(backbone))
    assert names and all(is_adapter(name) for name in names)
    backbone(*batch_of(params))[1].square().sum().backward()
    with_gradient = {n for n, p in backbone.named_parameters() if p.grad is not None and p.grad.any()}
    assert with_gradient == names


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_lora_starts_at_the_backbone_and_is_scaled_by_alpha_over_rank(family, checkpoint):
    params, plain = adapted(checkpoint(family), "lora"), Backbone(checkpoint(family)).eval()
    batch = batch_of(params)
    backbone = Backbone(params).eval()
    before = plain(*batch)[1]
    assert torch.equal(backbone(*batch)[1], before)
    after = moved(backbone)(*batch)[1]
    assert (after - before).abs().max() > 1e-2
    doubled = Backbone(adapted(params, "lora", lora_alpha=32)).eval()
    doubled.load_state_dict(backbone.state_dict())
    assert not torch.allclose(doubled(*batch)[1], after, atol=1e-4)
    halved = {n: p.mul_(0.5) for n, p in trainable(doubled).items() if "lora_B" in n}
    assert halved and torch.allclose(doubled(*batch)[1], after, atol=1e-4)


def test_rank_sets_the_size_and_dropout_acts_in_training_only(checkpoint):
    params = adapted(checkpoint("bert"), "lora")
    count = {r: trainable_parameters(Backbone(adapted(params, "lora", lora_rank=r)))["total"] for r in (1, 8)}
    assert count == {1: 4 * 2 * (32 + 32), 8: 8 * 4 * 2 * (32 + 32)}
    batch = batch_of(params)
    for dropout in (0.0, 0.9):
        backbone = Backbone(adapted(params, "lora", lora_dropout=dropout))
        backbone.encoder.apply(lambda m: setattr(m, "p", 0.0) if _is_own_dropout(m) else None)
        outputs = [moved(backbone).train(mode)(*batch)[1] for mode in (True, False)]
        assert torch.allclose(*outputs, atol=1e-5) == (dropout == 0.0)


def _is_own_dropout(module) -> bool:
    return isinstance(module, torch.nn.Dropout) and module.p == 0.1


@pytest.mark.parametrize("adapter", ("none", *ADAPTERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_in_bfloat16_gives_float32_states_and_finite_gradients(family, adapter, checkpoint):
    params = adapted(checkpoint(family), adapter)
    backbone = Backbone(params).train()
    states, _ = backbone(*batch_of(params))
    backbone.autocast = torch.bfloat16
    reduced, pooled = backbone(*batch_of(params))
    pooled.square().sum().backward()
    assert states.dtype == reduced.dtype == torch.float32 and reduced.shape == states.shape
    gradients = [p.grad for p in trainable(backbone).values() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_stands_before_the_tokens_and_leaves_them_where_they_were(family, checkpoint):
    params = adapted(checkpoint(family), "prompt", prompt_tokens=3)
    backbone, tokens = moved(Backbone(params)).eval(), tokens_of(params)
    together, pooled = backbone(*tokens.pad(np.arange(3)))
    plain = Backbone(checkpoint(family)).eval()
    assert (pooled - plain(*tokens.pad(np.arange(3)))[1]).abs().max() > 1e-2
    for row in range(3):
        ids, mask, types = tokens.pad(np.array([row]))
        words = torch.cat(
            [backbone.prompt.embedding.weight[None], plain.encoder.get_input_embeddings()(ids)], 1
        )
        given = {"token_type_ids": torch.cat([types[:, :1] * 0] * 3 + [types], 1)} if plain.has_types else {}
        by_hand = plain.encoder(
            inputs_embeds=words, attention_mask=torch.ones(words.shape[:2]), **given
        ).last_hidden_state[:, 3:]
        columns = tokens.columns(row, together.shape[1])
        assert torch.allclose(together[row, columns], by_hand[0], atol=1e-5)
        alone, pooled_alone = backbone(ids, mask, types)
        assert torch.allclose(alone, by_hand, atol=1e-5)
        assert torch.allclose(pooled[row], pooled_alone[0], atol=1e-5)


def test_a_prompt_starts_as_words_of_the_vocabulary_and_has_the_size_asked_for(checkpoint):
    for family, width in (("bert", 32), ("albert", 16)):
        backbone = Backbone(adapted(checkpoint(family), "prompt", prompt_tokens=5))
        prompt = backbone.prompt.embedding.weight
        words = backbone.encoder.get_input_embeddings().weight
        assert prompt.shape == (5, width) and trainable_parameters(backbone)["total"] == 5 * width
        assert all((words == vector).all(1).any() for vector in prompt)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_is_built_after_the_backbone_starts_as_without_an_adapter(adapter, checkpoint):
    def next_number(params):
        torch.manual_seed(0)
        Backbone(params)
        return torch.rand(())

    assert next_number(checkpoint("bert")) == next_number(adapted(checkpoint("bert"), adapter))


@pytest.mark.parametrize("family", [f for f in FAMILIES if f in LAYOUTS])
def test_lora_adapts_the_layers_above_the_cut_and_the_rest_can_be_cached(family, checkpoint):
    params = adapted(checkpoint(family), "lora", freeze_layers=2)
    backbone = moved(Backbone(params)).eval()
    inputs = Inputs(ROWS, tokens_of(params), {})
    cache_frozen_states(backbone, inputs, seed=0)
    batch = inputs.batch(np.array([2, 0]))
    cached = backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    assert torch.allclose(cached, backbone(batch.ids, batch.mask, batch.types)[1], atol=1e-5)
    cached.sum().backward()
    assert all(name.startswith("encoder") and is_adapter(name) for name in trainable(backbone))
    assert all(p.grad is not None for p in trainable(backbone).values())
    assert not any(is_adapter(n) for n, _ in backbone.lower.named_parameters())
    assert len(trainable(backbone)) < len(trainable(Backbone(adapted(params, "lora", freeze_layers=0))))


def test_params_that_would_do_nothing_or_cannot_be_are_refused(checkpoint):
    base = checkpoint("bert").model_dump()
    for wrong, message in (
        ({"lora_rank": 4}, "lora_rank is set, but adapter is none"),
        ({"adapter": "lora", "prompt_tokens": 5}, "prompt_tokens is set, but adapter is lora"),
        ({"adapter": "prompt", "lora_dropout": 0.0}, "lora_dropout is set, but adapter is prompt"),
        ({"adapter": "prompt", "freeze_layers": 1}, "set freeze_layers to 0"),
    ):
        with pytest.raises(ValidationError, match=message):
            BackboneParams.model_validate({**base, **wrong})
    written = BackboneParams.model_validate({**base, "adapter": "lora", "lora_rank": 4})
    assert BackboneParams.model_validate(written.model_dump(mode="json")) == written


def test_a_family_whose_layers_lora_does_not_know_is_named():
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    params = BackboneParams(
        name="x", source="random", ref="mpnet", pooling="mean", adapter="lora", random_config=small
    )
    with pytest.raises(ParamsError, match="layers of model type 'mpnet' LoRA adapts"):
        Backbone(params)
    assert lora_targets("bert") == ["query", "value"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_model_with_an_adapter_predicts_the_same_after_it_was_saved(adapter, tmp_path):
    params = planted_params(f"backbone.adapter={adapter}")
    planted = plant(params, "image", rows=8)
    model = build_model(params, planted.fitted).eval()
    moved(model.backbone)
    batch = planted.test.inputs.batch(np.arange(4))
    expected = model(batch).logits
    save_pretrained(tmp_path, model, params, planted.fitted, load_tokenizer(params.backbone))
    found, again = load_pretrained(tmp_path)
    assert again == params and torch.equal(found.model(batch).logits, expected)
    counts = trainable_parameters(model)
    assert counts["backbone"] == sum(p.numel() for n, p in model.named_parameters() if is_adapter(n))


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_a_checkpoint_holds_the_adapter_without_the_weights_and_restores_it(family, adapter, checkpoint):
    cut = {"freeze_layers": 1} if adapter == "lora" else {}
    params = adapted(checkpoint(family), adapter, **cut)
    backbone = moved(Backbone(params)).eval()
    state = copy.deepcopy(learned_state(backbone))
    assert trainable(backbone).keys() <= state.keys()
    assert not any("word_embeddings" in name or "base_layer" in name for name in state)
    again = Backbone(params).eval()
    restore_learned_state(again, state, "here")
    assert torch.equal(again(*batch_of(params))[1], backbone(*batch_of(params))[1])
