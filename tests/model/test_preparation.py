"""From rows to inputs: each split is read once, and regression labels set the scale of the head."""

import numpy as np
import pytest
import torch

from mase.data import Rows
from mase.em.mstep import m_step_losses
from mase.methods import build_model
from mase.model import preparation
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.frozen import cache_frozen_states
from mase.model.heads import Head, hidden_width_for
from mase.model.inputs import Inputs
from mase.model.preparation import Aligned, Tables, align, build_inputs, fit
from mase.model.tokens import tokenise
from mase.params import HeadParams, Params, TaskParams, load_params
from mase.training import assemble

SCORES = np.array([0.5, 4.5, 2.0, 5.0, 1.0, 3.5], np.float32)
PAIRS = Rows(
    tuple("abcdef"),
    ("a dog runs", "a red bus", "rain falls", "the bell rings", "a man sings", "two cats"),
    ("a cat runs", "a bus", "snow falls", "the bell is loud", "a woman sings", "one cat"),
    SCORES,
)


def regression_params() -> Params:
    smoke = load_params("looks", profile="smoke", overlays=("methods/text",))
    task = TaskParams(
        name="scores",
        title="Scores",
        family="regression",
        label_range=(0.0, 5.0),
        metrics=("pearson",),
        main_metric="pearson",
        embedded="looks",
    )
    return smoke.model_copy(update={"task": task})


def test_every_split_is_tokenised_and_aligned_once(monkeypatch):
    seen: dict[str, list[tuple[str, ...]]] = {"tokenise": [], "graph_nodes": []}
    for name, place in (("tokenise", 1), ("graph_nodes", 2)):
        original = getattr(preparation, name)

        def counting(*arguments, name=name, place=place, original=original):
            seen[name].append(arguments[place].ids)
            return original(*arguments)

        monkeypatch.setattr(preparation, name, counting)
    run = assemble(load_params("looks", profile="smoke", overlays=("methods/mase",)))
    splits = [run.data.train.ids, run.data.slice.ids, run.data.evaluation.ids]
    assert seen == {"tokenise": splits, "graph_nodes": splits}


def test_inputs_are_the_same_whether_the_alignment_is_given_or_not():
    params = load_params("looks", profile="smoke", overlays=("methods/mase",))
    tokenizer = load_tokenizer(params.backbone)
    rows = Rows(tuple("abcdef"), PAIRS.texts_a, None, np.zeros(6, np.int64))
    tables = preparation.extract_all(params, [rows], preparation.parse_all(params, [rows], train=rows))
    aligned = align(params, tables, rows, tokenizer)
    fitted = fit(params, tables, rows, aligned)
    given, own = (
        build_inputs(params, fitted, tables, rows, tokenizer, found).batch(np.arange(6))
        for found in (aligned, None)
    )
    assert given.ids is not None and own.ids is not None and given.ids.equal(own.ids)
    assert given.graph is not None and own.graph is not None
    assert given.graph.token_position.equal(own.graph.token_position)
    assert given.graph.proxies["image"].equal(own.graph.proxies["image"])


def test_a_regression_head_starts_at_the_training_mean_in_label_units():
    params, tables = regression_params(), Tables({}, {}, None)
    tokenizer = load_tokenizer(params.backbone)
    aligned = align(params, tables, PAIRS, tokenizer)
    fitted = fit(params, tables, PAIRS, aligned)
    assert fitted.label_mean == pytest.approx(SCORES.mean())
    assert fitted.label_deviation == pytest.approx(SCORES.std())
    model = build_model(params, fitted).eval()
    batch = build_inputs(params, fitted, tables, PAIRS, tokenizer, aligned).batch(np.arange(6))
    assert model(batch).logits.shape == (6, 1)
    with torch.no_grad():
        model.head.output.weight.zero_()
        model.head.output.bias.zero_()
    assert model(batch).logits.flatten().tolist() == pytest.approx([SCORES.mean()] * 6)
    losses = m_step_losses(model(batch), torch.from_numpy(SCORES), batch, params, model)
    assert losses["task"].item() == pytest.approx(1.0, abs=1e-5)  # squared errors in units of the deviation


def test_a_heads_output_is_scaled_by_the_deviation_and_shifted_by_the_mean():
    torch.manual_seed(0)
    plain = Head(4, 1, HeadParams(dropout=0.0))
    scaled = Head(4, 1, HeadParams(dropout=0.0), mean=2.5, deviation=1.5)
    learned = {k: v for k, v in plain.state_dict().items() if k.startswith("output")}
    scaled.load_state_dict(learned, strict=False)
    features = torch.randn(5, 4)
    assert torch.allclose(scaled(features), plain(features) * 1.5 + 2.5)


def test_equal_scores_have_deviation_one():
    params, tables = regression_params(), Tables({}, {}, None)
    constant = Rows(PAIRS.ids, PAIRS.texts_a, PAIRS.texts_b, np.full(6, 3.0, np.float32))
    fitted = fit(params, tables, constant, Aligned(None, None))
    assert (fitted.label_mean, fitted.label_deviation) == (3.0, 1.0)


@pytest.mark.parametrize(("width", "outputs"), [(32, 2), (384, 1), (7, 3)])
def test_the_hidden_width_for_a_number_of_parameters_inverts_the_count(width, outputs):
    for hidden in (1, 5, 400):
        head = Head(width, outputs, HeadParams(hidden=hidden))
        assert hidden_width_for(sum(p.numel() for p in head.parameters()), width, outputs) == hidden


def test_frozen_states_are_float32_under_autocast_cached_or_not():
    params = load_params("looks", profile="smoke", overlays=("methods/text",)).backbone
    backbone = Backbone(params.model_copy(update={"freeze_layers": 1})).train()
    backbone.autocast = torch.bfloat16
    tokens = tokenise(load_tokenizer(params), PAIRS, 32)
    inputs = Inputs(PAIRS, tokens, {})
    cache_frozen_states(backbone, inputs, seed=0)
    batch = inputs.batch(np.arange(6))
    assert batch.frozen is not None and batch.ids is not None and batch.mask is not None
    assert batch.types is not None
    seen: list[torch.Tensor] = []
    backbone.encoder.encoder.layer[0].register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    backbone(batch.ids, batch.mask, batch.types)
    assert seen[0].dtype == torch.float32
    assert torch.allclose(seen[0][batch.mask], batch.frozen[batch.mask], atol=1e-5)
