"""Frozen lower layers: exact where a family can be cut, refused where not."""

import numpy as np
import pytest
import torch

from mase.data import Rows
from mase.errors import ParamsError
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.cutting import LAYOUTS, UNCUTTABLE
from mase.model.frozen import cache_frozen_states
from mase.model.inputs import Inputs
from mase.model.tokens import tokenise
from mase.params import BackboneParams
from tests.tiny_backbones import FAMILIES

FIRST = ("a red bus", "the dog barks at a car", "rain")
ROWS = Rows(("a", "b", "c"), FIRST, ("rain", "two men", "a boat on the lake"), np.zeros(3, np.int64))
CUT = [family for family in FAMILIES if family in LAYOUTS]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("family", CUT)
def test_frozen_layers_give_the_same_states_cached_or_not_and_do_not_train(family, count, checkpoint):
    whole = checkpoint(family)
    reference = Backbone(whole).eval()
    backbone = Backbone(whole.model_copy(update={"freeze_layers": count}))
    inputs = Inputs(ROWS, tokenise(load_tokenizer(whole), ROWS, 32), {})
    cache_frozen_states(backbone, inputs, seed=0)
    batch = inputs.batch(np.array([1, 0, 2]))
    assert batch.frozen is not None
    backbone.eval()
    cached = backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    fresh = backbone(batch.ids, batch.mask, batch.types)[1]
    assert torch.allclose(cached, reference(batch.ids, batch.mask, batch.types)[1], atol=1e-5)
    assert torch.allclose(cached, fresh, atol=1e-5)
    backbone.train()
    assert not backbone.lower.training and backbone.encoder.training
    trainable = [n for n, p in backbone.named_parameters() if p.requires_grad]
    assert trainable and not any(n.startswith("lower") or "embeddings" in n for n in trainable)
    backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1].sum().backward()
    assert all(p.grad is None for p in backbone.lower.parameters())
    assert all(p.grad is not None for n, p in backbone.named_parameters() if p.requires_grad)


@pytest.mark.parametrize("family", CUT)
def test_both_parts_together_have_every_layer_once(family, checkpoint):
    whole = checkpoint(family)
    backbone = Backbone(whole.model_copy(update={"freeze_layers": 1}))
    expected = sum(p.numel() for p in Backbone(whole).parameters())
    assert sum(p.numel() for p in backbone.parameters()) == expected


@pytest.mark.parametrize("family", UNCUTTABLE)
def test_families_whose_layers_depend_on_each_other_are_refused_with_the_reason(family, checkpoint):
    with pytest.raises(ParamsError, match=f"not supported for model type '{family}' .{UNCUTTABLE[family]}"):
        Backbone(checkpoint(family).model_copy(update={"freeze_layers": 1}))


def test_an_unknown_family_and_too_many_layers_are_refused(checkpoint):
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    unknown = BackboneParams(
        name="x", source="random", ref="mpnet", pooling="mean", freeze_layers=1, random_config=small
    )
    with pytest.raises(ParamsError, match="'mpnet' .how to cut it is not known"):
        Backbone(unknown)
    with pytest.raises(ParamsError, match="4, but the model has 4 layers"):
        Backbone(checkpoint("bert").model_copy(update={"freeze_layers": 4}))


def test_runs_that_differ_above_the_cut_share_the_cached_states(checkpoint):
    params = checkpoint("bert").model_copy(update={"freeze_layers": 1})
    tokens = tokenise(load_tokenizer(params), ROWS, 32)
    inputs, others, deeper = (Inputs(ROWS, tokens, {}) for _ in range(3))
    cache_frozen_states(Backbone(params), inputs, seed=0)
    cache_frozen_states(Backbone(params.model_copy(update={"adapter": "lora"})), others, seed=0)
    cache_frozen_states(Backbone(params.model_copy(update={"freeze_layers": 2})), deeper, seed=0)
    assert inputs.frozen is others.frozen and inputs.frozen is not deeper.frozen
