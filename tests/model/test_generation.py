"""Generation with a soft prefix: what proxies, z, gates and labels can and cannot change."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mase.baselines.mpb_generation import GenerationBaseline
from mase.em.estep import e_step
from mase.em.mstep import Optimiser, m_step_losses, parameter_groups
from mase.errors import ParamsError
from mase.methods import build_model, model_class
from mase.model.fusion import STRIDE
from mase.model.generation import GenerationModel
from mase.model.inference import predict
from mase.params import BackboneParams, Params, load_params
from mase.prediction import Predictor
from mase.pretrained import load_pretrained, save_pretrained
from mase.training import assemble
from mase.units import Unit, train
from tests.generation_rows import (
    NOUNS,
    Sentences,
    generation_params,
    own_task,
    plant,
    right,
    said,
    trained,
)

Checkpoint = Callable[[str], BackboneParams]
CHANCE = 1 / len(NOUNS)


def opened(model: GenerationModel, *gates: float) -> GenerationModel:
    """Return the model in evaluation mode with these gates, text's (which is 1 whatever it says) first."""
    with torch.no_grad():
        model.sum.gate.copy_(torch.tensor([0.0, *gates]) / STRIDE)
    return model.eval()


def fresh(params: Params, planted: Sentences, *gates: float) -> GenerationModel:
    model = build_model(params, planted.fitted)
    assert isinstance(model, GenerationModel)
    return opened(model, *gates) if gates else model.eval()


def told(model: GenerationModel | GenerationBaseline, planted: Sentences) -> Tensor:
    """Return log p of the target tokens of eight test rows."""
    batch, labels = planted.test.batch(np.arange(8)), planted.test.labels_of(np.arange(8))
    with torch.no_grad():
        return model.log_probabilities(model(batch).memory, labels)


@pytest.fixture(scope="module")
def learnt(checkpoint: Checkpoint) -> tuple[GenerationModel, Sentences, list[dict[str, float]]]:
    """Return full MASE trained where only the image tells the sentence."""
    params = generation_params(checkpoint("bert"))
    planted = plant(params, "image")
    model, weights = trained(params, planted)
    assert isinstance(model, GenerationModel)
    return model, planted, weights


def test_what_only_the_image_tells_is_learnt(
    learnt: tuple[GenerationModel, Sentences, list[dict[str, float]]],
) -> None:
    model, planted, weights = learnt
    assert right(model, planted) > 0.7
    assert weights[0] == {"text": 0.5, "image": 0.5}
    assert weights[-1]["image"] > 0.6


def test_what_tells_nothing_gets_no_information_and_no_weight(checkpoint: Checkpoint) -> None:
    params = generation_params(
        checkpoint("bert"), "allocation.iterations=4", modalities="[text, image, audio, video]"
    )
    planted = plant(params, "image")
    model, weights = trained(params, planted)
    assert isinstance(model, GenerationModel) and right(model, planted) > 0.7
    found = {
        m: i.value for m, i in e_step(model, planted.estimation, planted.train, None).information.items()
    }
    assert found["image"] > 0.5
    assert max(found[m] for m in ("text", "audio", "video")) < 0.25 * found["image"]
    assert weights[-1]["image"] > 0.6


def test_the_base_knows_the_tokens_before_and_nothing_of_the_row(
    learnt: tuple[GenerationModel, Sentences, list[dict[str, float]]],
) -> None:
    model, planted, _ = learnt
    batch, labels = planted.test.batch(np.arange(8)), planted.test.labels_of(np.arange(8))
    same = labels[:1].expand(8, -1)
    with torch.no_grad():
        _, found, _ = model.eval().answers(model(batch), same)
        _, again, _ = model.answers(model(planted.test.batch(np.arange(8, 11))), same[:3])
    told, base = found.unbind(-1)
    assert (base == base[:1]).all() and torch.allclose(base[:3], again[..., 1], atol=1e-5)
    assert (told[:, 1] - told[:1, 1]).abs().max() > 0.5  # the image of a row
    assert base[0, 0, 0] > -0.1 and base[0, 0, 2] > -0.1  # "the", and that the sentence ends
    assert torch.equal(base == 0, (same == -100)[:, None].expand_as(base))


def test_means_are_of_training_batches_alone(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"))
    planted = plant(params, "text", rows=16)
    model = fresh(params, planted, 1.0)
    first, second = (planted.train.batch(np.arange(at, at + 8)) for at in (0, 8))
    model(first)
    assert model.typical_pre.batches == 0 and not model.typical_pre.value.any()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    outputs = [model(batch) for batch in (first, second)]
    model.train()
    for batch in (first, second):
        model(batch)
    expected = torch.cat([output.pre for output in outputs]).mean(0)
    assert torch.allclose(model.typical_pre.value[1:], expected, atol=1e-3)
    tokens = [o.states[b.mask].mean(0) for o, b in zip(outputs, (first, second), strict=True)]
    assert torch.allclose(model.typical_pre.value[0], torch.stack(tokens).mean(0), atol=1e-3)
    kept = {f"typical_{at}.{part}" for at in ("pre", "post") for part in ("value", "batches")}
    assert kept <= set(model.state_dict())


def test_the_text_alone_cannot_learn_what_the_image_tells(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"), "training.epochs=4", modalities="[text]")
    planted = plant(params, "image")
    model, _ = trained(params, planted)
    assert right(model, planted) < 3 * CHANCE


def test_mpb_learns_it_too_without_z(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"), "training.epochs=5", method="mpb")
    planted = plant(params, "image")
    model, _ = trained(params, planted)
    assert isinstance(model, GenerationBaseline) and right(model, planted) > 0.7
    before = told(model, planted)
    model.allocation.copy_(torch.tensor([0.9, 0.1]))
    assert torch.equal(told(model, planted), before)


def test_t5_learns_to_copy_from_the_text(checkpoint: Checkpoint) -> None:
    rates = ("training.lr_backbone=0.02", "training.epochs=10")
    params = generation_params(checkpoint("t5"), *rates, modalities="[text]")
    planted = plant(params, "text")
    model, _ = trained(params, planted)
    assert right(model, planted) > 0.6


def test_sentences_do_not_depend_on_the_batch(
    learnt: tuple[GenerationModel, Sentences, list[dict[str, float]]],
) -> None:
    model, planted, _ = learnt
    assert said(model, planted, 1) == said(model, planted, 48) == said(model, planted, 7)


def test_z_changes_what_is_said(learnt: tuple[GenerationModel, Sentences, list[dict[str, float]]]) -> None:
    model, planted, _ = learnt
    kept = model.allocation.clone()
    found = []
    for text in (0.2, 0.6, 1.0):
        model.allocation.copy_(torch.tensor([text, 1 - text]))
        found.append(told(model.eval(), planted).sum().item())
    model.allocation.copy_(kept)
    assert found[0] != found[1] and min(found[:2]) > found[2] + 1.0  # the image tells the sentence


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_all_weight_on_the_text_is_the_text_only_model(checkpoint: Checkpoint, family: str) -> None:
    params = generation_params(checkpoint(family))
    planted = plant(params, "image", rows=8)
    alone = generation_params(checkpoint(family), modalities="[text]")
    full, text = fresh(params, planted, 3.0), fresh(alone, planted)
    expected = told(text, planted)
    assert (told(full, planted) - expected).abs().max() > 1e-3
    full.allocation.copy_(torch.tensor([1.0, 0.0]))
    assert torch.equal(told(full, planted), expected)
    full.allocation.copy_(torch.tensor([1.0 - 1e-7, 1e-7]))  # the slots are what they were: only their weight
    assert torch.allclose(told(full, planted), expected, atol=1e-3)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_closed_gates_are_the_text_only_model_bit_for_bit(checkpoint: Checkpoint, family: str) -> None:
    params = generation_params(checkpoint(family))
    planted = plant(params, "image", rows=8)
    text = fresh(generation_params(checkpoint(family), modalities="[text]"), planted)
    full = fresh(params, planted)
    assert torch.equal(told(full, planted), told(text, planted))
    for model in (full, text):
        torch.manual_seed(3)
        model.train()
    batch, labels = planted.train.batch(np.arange(8)), planted.train.labels_of(np.arange(8))
    losses = []
    for model in (full, text):
        torch.manual_seed(3)  # dropout draws the same
        losses.append(model.task_loss(model(batch), labels))
    assert torch.equal(losses[0], losses[1])


def test_one_modality_alone_is_judged_by_its_own_memory(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"), modalities="[text, image, audio]")
    planted = plant(params, "image", rows=8)
    model = fresh(params, planted, 2.0, -1.0)
    batch, labels = planted.test.batch(np.arange(8)), planted.test.labels_of(np.arange(8))
    with torch.no_grad():
        fused, pre, post = model.answers(model(batch), labels)
    assert fused.shape == labels.shape and pre.shape == (8, 3, labels.shape[1], 2)
    assert torch.equal(pre, post)  # no graph
    text = fresh(generation_params(checkpoint("bert"), modalities="[text]"), planted)
    assert torch.equal(pre[:, 0, :, 0], told(text, planted))
    assert torch.equal(fused == 0, labels == -100)
    louder = opened(model, 20.0, -10.0)  # a gate's size is no information
    with torch.no_grad():
        assert torch.equal(louder.answers(louder(batch), labels)[1], pre)
        silent = louder(batch)
        silent.states.zero_()
        silent.raised.zero_()
        assert torch.equal(louder.answers(silent, labels)[1][:, 1:], pre[:, 1:])  # the text is not read


def test_gradient_reaches_all_that_trains(checkpoint: Checkpoint) -> None:
    for family in ("bert", "t5"):
        params = generation_params(checkpoint(family), "contrastive.alpha=0.1")
        planted = plant(params, "text", rows=16)  # rows of one text are no negatives of each other
        model = fresh(params, planted, 1.0).train()
        batch, labels = planted.train.batch(np.arange(16)), planted.train.labels_of(np.arange(16))
        losses = m_step_losses(model(batch), labels, batch, params, model)
        losses["total"].backward()
        silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert not silent
        assert all(p.requires_grad for p in model.parameters())


def test_gates_that_are_closed_open(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"))
    planted = plant(params, "image", rows=16)
    model = fresh(params, planted).train()
    batch, labels = planted.train.batch(np.arange(16)), planted.train.labels_of(np.arange(16))
    optimiser = Optimiser(model, params.training, 10)
    optimiser.step(model.task_loss(model(batch), labels))
    assert model.sum.gates()[1].abs() > 1e-3 and model.sum.gates()[0] == 1.0


def test_a_decoder_of_the_checkpoint_learns_at_the_backbones_rate(checkpoint: Checkpoint) -> None:
    for family, rates in (("bert", {"head": {0.5}}), ("t5", {"head": {0.25}})):
        new = ("training.lr_new=0.5", "training.lr_backbone=0.25")
        params = generation_params(checkpoint(family), *new)
        model = fresh(params, plant(params, "image", rows=8))
        names = {id(p): name.split(".")[0] for name, p in model.named_parameters()}
        found: dict[str, set[object]] = {}
        for group in parameter_groups(model, params.training):
            for parameter in group["params"]:  # type: ignore[attr-defined]
                found.setdefault(names[id(parameter)], set()).add(group["lr"])
        assert found["backbone"] == {0.25} and found["head"] == rates["head"] and found["prefix"] == {0.5}


def test_targets_end_and_are_cut(checkpoint: Checkpoint) -> None:
    params = generation_params(checkpoint("bert"), "generation.max_target_length=3")
    planted = plant(params, "text", rows=8)
    end = planted.tokenizer.sep_token_id
    assert planted.train.labels.shape == (8, 3)
    assert planted.train.labels[:, -1].tolist() == [end] * 8
    shorter = plant(generation_params(checkpoint("bert"), "generation.max_target_length=2"), "text", rows=8)
    assert torch.equal(shorter.train.labels[:, 0], planted.train.labels[:, 0])
    assert shorter.train.labels[:, -1].tolist() == [end] * 8
    longer = plant(generation_params(checkpoint("bert")), "text", rows=8)
    assert torch.equal(longer.train.labels[:, :3], planted.train.labels)
    assert (longer.train.labels[:, 3:] == -100).all()


def test_each_setting_of_generation_changes_something(
    checkpoint: Checkpoint, learnt: tuple[GenerationModel, Sentences, list[dict[str, float]]]
) -> None:
    planted = learnt[1]

    def model(*overrides: str) -> GenerationModel:
        made = fresh(generation_params(checkpoint("bert"), *overrides), planted)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        return made

    def size(of: GenerationModel) -> int:
        return sum(p.numel() for p in of.parameters())

    assert size(model("generation.decoder_layers=3")) > size(model())
    assert size(model("generation.prefix_slots=8")) > size(model())
    batch = planted.test.batch(np.arange(4))
    for length in (2, 5):
        found = model(f"generation.max_target_length={length}").predicted(batch)["tokens"]
        assert found.shape == (4, length)
    texts = {
        beams: predict(model(f"generation.beams={beams}"), planted.test.inputs, 16)["tokens"].tolist()
        for beams in (1, 6)
    }
    assert texts[1] != texts[6]


@pytest.mark.parametrize(
    ("override", "said_of_it"),
    [
        ("head.hidden=8", "no classifier to widen"),
        ("fusion.width=16", "fusion.width: 16, but a sentence is written at the backbone's 32"),
    ],
)
def test_what_has_no_meaning_is_refused(checkpoint: Checkpoint, override: str, said_of_it: str) -> None:
    params = generation_params(checkpoint("bert"))
    planted = plant(params, "text", rows=8)
    with pytest.raises(ParamsError, match=said_of_it):
        build_model(generation_params(checkpoint("bert"), override), planted.fitted)


def test_a_tower_alone_cannot_write() -> None:
    files = ("data.source=files", "data.dir=unread")
    params = load_params("commongen", profile="smoke", overlays=("methods/mc_ptm_image",), overrides=files)
    with pytest.raises(ParamsError, match="method mc_ptm cannot do commongen, a generation task"):
        model_class(params)


def test_closed_gates_nest_the_text_with_the_graph_too(checkpoint: Checkpoint, tmp_path: Path) -> None:
    full, text = (assemble(own_task(tmp_path, checkpoint("bert"), name)) for name in ("mase", "text"))
    assert isinstance(full.model, GenerationModel) and full.model.graph is not None
    batch = full.evaluation.batch(np.arange(6))
    assert batch.graph is not None and len(batch.graph.instance)
    found, expected = (predict(run.model, run.evaluation, 8)["tokens"] for run in (full, text))
    assert (found == expected).all()
    with torch.no_grad():
        full.model.residual.gamma.fill_(0.1)  # type: ignore[union-attr]
    output = full.model(batch)
    assert not torch.equal(output.states, output.raised)  # the read-out reaches the text
    labels = full.train.labels_of(np.arange(6))
    _, pre, post = full.model.answers(output, labels)
    assert not torch.equal(pre[:, 0], post[:, 0])


@pytest.mark.parametrize(("family", "overlay"), [("bert", "mase"), ("t5", "mase"), ("t5", "mpb")])
def test_a_trained_model_is_kept_and_writes_the_same_again(
    checkpoint: Checkpoint, tmp_path: Path, family: str, overlay: str
) -> None:
    params = own_task(tmp_path, checkpoint(family), overlay)
    run = assemble(params)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    expected = predict(run.model, run.evaluation, 8)["tokens"]
    save_pretrained(tmp_path / "model", run.model, params, run.fitted, run.tokenizer)
    found, _ = load_pretrained(tmp_path / "model")
    own, again = run.model.state_dict(), found.model.state_dict()
    assert own.keys() == again.keys() and all(torch.equal(own[name], again[name]) for name in own)
    assert (predict(found.model, run.evaluation, 8)["tokens"] == expected).all()


def test_a_unit_trains_is_scored_and_serves_sentences(checkpoint: Checkpoint, tmp_path: Path) -> None:
    unit = Unit(own_task(tmp_path, checkpoint("bert"), "mase"), "own")
    result = train(unit, keep_model=True)
    assert set(result.metrics) == {"bleu_3", "cider", "constant_predictions"}
    texts = ["the dog bus", "rain lake"]
    found = Predictor.load(unit.folder).predict(texts)
    assert [type(one.label) for one in found] == [str, str] and not found[0].probabilities
