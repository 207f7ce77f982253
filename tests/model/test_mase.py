"""MaseModel: Eq. 1, nesting of the text-only model, label-free evaluation, awkward batches."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch

from mase import seeds
from mase.baselines.text_only import TextOnly
from mase.data import Rows
from mase.em.loop import Trainer
from mase.methods import build_model, trainable_parameters
from mase.model.backbone import Backbone
from mase.model.batch import Batch, GraphBatch
from mase.model.fusion import WeightedSum
from mase.model.heads import Head
from mase.model.mase import MaseModel
from mase.params import FusionParams, load_params
from mase.training import assemble
from tests.planted import plant, planted_params, predict_logits


def smoke(*overrides, overlays=("methods/mase",), preset=None, task="looks"):
    return load_params(task, profile="smoke", overlays=overlays, overrides=overrides, preset=preset)


def test_eq_1_is_the_weighted_sum_and_rescaling_divides_by_the_largest_weight():
    features = torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    z = torch.tensor([0.2, 0.8])
    plain = WeightedSum(FusionParams(proxy_gate="none", rescale="none"), ("text", "image"))
    assert torch.allclose(plain(features, z), torch.tensor([[0.2 + 2.4, 0.4 - 0.8]]))
    rescaled = WeightedSum(FusionParams(proxy_gate="none", rescale="max"), ("text", "image"))
    assert torch.allclose(rescaled(features, z), torch.tensor([[2.6, -0.4]]) / 0.8)
    gated = WeightedSum(FusionParams(proxy_gate="zero", rescale="none"), ("text", "image"))
    assert torch.allclose(gated(features, z), 0.2 * features[:, 0])


def test_text_alone_is_the_text_only_model_bit_for_bit():
    params = planted_params(overlays=("methods/text",))
    planted = plant(params, None)
    ours = build_model(params, planted.fitted)
    Trainer(params, ours, planted.train, planted.estimation, digest="ours").run()

    seeds.seed_everything(seeds.derive(params.seed, "initialisation"))
    backbone = Backbone(params.backbone)
    twin = TextOnly(params.task, backbone, Head(backbone.width, 2, params.head))
    Trainer(params, twin, planted.train, planted.estimation, digest="twin").run()
    assert torch.equal(
        predict_logits(ours, planted.test.inputs, 32), predict_logits(twin, planted.test.inputs, 32)
    )


def test_full_mase_starts_at_the_text_only_model():
    """Zero gates: before the first step the proxies and the graph change nothing."""
    full, text = (assemble(smoke(overlays=(o,))) for o in ("methods/mase", "methods/text"))
    assert torch.equal(
        predict_logits(full.model, full.evaluation, 16), predict_logits(text.model, text.evaluation, 16)
    )


def test_a_forward_pass_has_no_way_to_see_labels():
    fields = {f.name for part in (Batch, GraphBatch) for f in dataclasses.fields(part)}
    assert not any("label" in name or "target" in name for name in fields)
    assert list(inspect.signature(MaseModel.forward).parameters) == ["self", "batch"]


def test_permuting_the_evaluation_labels_changes_no_prediction():
    params = planted_params("training.epochs=1")
    planted = plant(params, "image")
    model = build_model(params, planted.fitted)
    Trainer(params, model, planted.train, planted.estimation, digest="d").run()
    rows, inputs = planted.test.inputs.rows, planted.test.inputs
    before = predict_logits(model, inputs, 64)
    inputs.rows = Rows(rows.ids, rows.texts_a, None, rows.labels[::-1].copy())
    assert torch.equal(before, predict_logits(model, inputs, 64))


@pytest.mark.parametrize("preset", ["sound", "paper", "em"])
def test_predictions_do_not_depend_on_batch_size_or_order(preset):
    run = assemble(smoke(preset=preset))
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.add_(0.02)
    together = predict_logits(run.model, run.evaluation, 48)
    assert torch.allclose(together, predict_logits(run.model, run.evaluation, 1), atol=1e-5)
    order = np.random.default_rng(0).permutation(len(run.evaluation))
    with torch.no_grad():
        shuffled = run.model(run.evaluation.batch(order)).logits
    assert torch.allclose(together[torch.from_numpy(order)], shuffled, atol=1e-5)
    assert together.std() > 0


@pytest.mark.parametrize("preset", ["sound", "paper", "em"])
def test_a_batch_of_one_and_a_batch_without_any_entity_work(preset):
    run = assemble(smoke(preset=preset))
    nodes = run.train.inputs.nodes
    assert nodes is not None
    counts = np.diff(nodes.pointer)
    one = run.train.batch(np.array([int(counts.argmax())]))
    assert one.graph is not None and len(one.graph.instance) == counts.max()
    assert run.model(one).logits.shape == (1, 2)
    empty = dataclasses.replace(one, graph=_without_nodes(one.graph))
    output = run.model(empty)
    assert torch.equal(output.pre, output.post)
    assert torch.isfinite(output.logits).all()


def _without_nodes(graph: GraphBatch) -> GraphBatch:
    none = torch.zeros(0, dtype=torch.long)
    return GraphBatch(
        none,
        none,
        none,
        {m: v[:0] for m, v in graph.proxies.items()},
        torch.zeros(2, 0, dtype=torch.long),
        none,
    )


def test_the_proxy_of_one_modality_moves_only_its_own_slice():
    run = assemble(smoke("fusion.proxy_gate=none"))
    run.model.eval()
    batch = run.evaluation.batch(np.arange(8))
    graph = dataclasses.replace(
        batch.graph, proxies={**batch.graph.proxies, "audio": batch.graph.proxies["audio"] * 0}
    )
    other = dataclasses.replace(
        batch, proxies={**batch.proxies, "audio": batch.proxies["audio"] * 0}, graph=graph
    )
    before, after = run.model(batch).post, run.model(other).post
    moved = (before - after).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, False]


def test_the_graph_stays_small_beside_the_backbone():
    params = load_params(
        "looks", profile="demo", overrides=("backbone.freeze_layers=0", "data.max_train_rows=120")
    )
    counts = trainable_parameters(assemble(params).model)
    assert counts["graph"] + counts["residual"] <= 0.1 * counts["backbone"]


def test_the_matched_head_has_as_many_parameters_as_full_mase():
    full = trainable_parameters(assemble(smoke()).model)
    matched = trainable_parameters(assemble(smoke(overlays=("methods/mase", "controls/matched_head"))).model)
    assert matched["total"] == pytest.approx(full["total"], rel=0.01)
    assert matched["head"] > 10 * full["head"]


def test_shuffled_proxies_are_the_same_vectors_in_other_rows():
    run, placebo = assemble(smoke()), assemble(smoke(overlays=("methods/mase", "controls/shuffled")))
    for m in ("image", "audio", "video"):
        mine, theirs = run.evaluation.proxies[m], placebo.evaluation.proxies[m]
        assert not np.array_equal(mine, theirs)
        assert np.allclose(np.sort(mine, axis=0), np.sort(theirs, axis=0), atol=1e-4)


def test_every_tensor_of_a_batch_goes_to_the_device() -> None:
    inner = GraphBatch(
        *(torch.zeros(2) for _ in range(3)), {"image": torch.zeros(2)}, torch.zeros(2), torch.zeros(2)
    )
    batch = Batch(torch.zeros(2), None, None, None, {"audio": torch.zeros(2)}, inner, (("a",),), {"x": inner})
    there = batch.to(torch.device("meta"))
    assert there.graph is not None and isinstance(there.extras["x"], GraphBatch)
    tensors = [there.ids, there.proxies["audio"]]
    for part in (there.graph, there.extras["x"]):
        tensors += [part.instance, part.token_node, part.token_position, part.proxies["image"]]
        tensors += [part.edge_index, part.edge_type]
    assert [t.device.type for t in tensors if t is not None] == ["meta"] * 14
    assert (there.mask, there.keys) == (None, (("a",),))
