"""VAWI for sentences: vectors among the encoder's tokens reach the decoder, which learns what they tell."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mase.baselines.vawi.reformulation import position_table
from mase.baselines.vawi.slots import NAME, WordBatch, WordSlots
from mase.baselines.vawi.words import Word, last_tokens
from mase.baselines.vawi.writer import VisuallyAugmentedWriter
from mase.data import Rows
from mase.em.loop import Trainer
from mase.errors import ParamsError
from mase.methods import build_model
from mase.model.backbone import load_tokenizer
from mase.model.inference import predict
from mase.model.inputs import Inputs
from mase.model.placebo import donors
from mase.model.task_model import TaskModel
from mase.model.tokens import tokenise
from mase.model.writer import Writer
from mase.params import BackboneParams, Params
from mase.pretrained import load_pretrained, save_pretrained
from mase.training import assemble
from mase.units import Unit
from tests.generation_rows import (
    NOUNS,
    WIDTH,
    Sentences,
    generation_params,
    own_task,
    plant,
    right,
    said,
    trained,
)
from tests.tiny_backbones import checkpoint_maker, save_checkpoint

Checkpoint = Callable[[str], BackboneParams]
CHANCE = 1 / len(NOUNS)
FROZEN = "vawi.train=reformulation"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a maker of params whose `ref` is a family's saved checkpoint."""
    return checkpoint_maker(tmp_path_factory.mktemp)


def params_of(backbone: BackboneParams, *overrides: str) -> Params:
    params = generation_params(backbone, *overrides, method="vawi")
    tower = params.towers["image"].model_copy(update={"output_width": WIDTH})
    return params.model_copy(update={"towers": {"image": tower}})


def add_words(params: Params, inputs: Inputs) -> None:
    """Look up one word of each row, the first, which has the row's image vector."""
    rows, tokens = inputs.rows, inputs.tokens
    assert tokens is not None
    words = [Word(0, len(text.split()[0]), "NN") for text in rows.texts_a]
    position = np.concatenate([last_tokens(tokens, i, 0, [word]) for i, word in enumerate(words)])
    vector = donors(params, rows, "nodes", len(rows))
    pointer = np.arange(len(rows) + 1)
    inputs.extras[NAME] = WordSlots(tokens, inputs.proxies["image"], pointer, vector, position, 0 * position)


def plant_words(params: Params, rows: int = 144) -> Sentences:
    """Return rows whose sentence only the vector of their one word tells: "the <noun>"."""
    planted = plant(params, "image", rows=rows)
    for part in (planted.train, planted.estimation, planted.test):
        add_words(params, part.inputs)
    return planted


def told(model: TaskModel, planted: Sentences) -> Tensor:
    """Return log p of the target tokens of eight test rows."""
    assert isinstance(model, Writer)
    batch, labels = planted.test.batch(np.arange(8)), planted.test.labels_of(np.arange(8))
    with torch.no_grad():
        return model.eval().log_probabilities(model(batch).memory, labels)


@pytest.fixture(scope="module")
def learnt(checkpoint: Checkpoint) -> tuple[TaskModel, Sentences]:
    """Return a model trained where only the words' vectors tell the sentence."""
    params = params_of(checkpoint("bert"))
    planted = plant_words(params)
    return trained(params, planted)[0], planted


def test_what_only_the_words_vectors_tell_is_learnt(learnt: tuple[TaskModel, Sentences]) -> None:
    assert right(*learnt) > 0.7


def test_shuffled_vectors_tell_nothing(checkpoint: Checkpoint) -> None:
    params = params_of(checkpoint("bert"), "proxies.shuffle=true")
    planted = plant_words(params)
    assert right(trained(params, planted)[0], planted) < 3 * CHANCE


def test_sentences_depend_neither_on_the_batch_nor_on_the_order(learnt: tuple[TaskModel, Sentences]) -> None:
    model, planted = learnt
    assert said(model, planted, 1) == said(model, planted, 48) == said(model, planted, 7)
    order = np.random.default_rng(0).permutation(48)
    with torch.no_grad():
        states, again = (model.eval()(planted.test.batch(rows)).states for rows in (np.arange(48), order))
    assert torch.allclose(again, states[order], atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "t5"])
def test_a_changed_vector_changes_the_decoders_answers_for_its_row_alone(
    checkpoint: Checkpoint, family: str
) -> None:
    params = params_of(checkpoint(family))
    planted = plant_words(params, rows=8)
    model = build_model(params, planted.fitted)
    before = told(model, planted)
    planted.test.inputs.proxies["image"][3] += 5.0  # the vector of row 3's word
    moved = (told(model, planted) - before).abs().max(dim=1).values
    assert moved[3] > 1e-3 and not moved[[0, 1, 2, 4, 5, 6, 7]].any()


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_without_words_it_is_the_text_only_model(checkpoint: Checkpoint, family: str) -> None:
    params = params_of(checkpoint(family))
    planted = plant_words(params, rows=8)
    text = build_model(generation_params(checkpoint(family), modalities="[text]"), planted.fitted)
    expected = told(text, planted)
    model = build_model(params, planted.fitted)
    assert (told(model, planted) - expected).abs().max() > 1e-3
    slots = planted.test.inputs.extras[NAME]
    assert isinstance(slots, WordSlots)
    for kept in (1, 0):  # rows with a word: the first, then none
        pointer = np.minimum(slots.pointer, kept)
        columns = {name: getattr(slots, name)[:kept] for name in ("word", "position", "sentence")}
        planted.test.inputs.extras[NAME] = replace(slots, pointer=pointer, **columns)
        moved = (told(model, planted) - expected).abs().max(dim=1).values
        assert (moved[:kept] > 1e-3).all() and (moved[kept:] < 1e-5).all()
    assert not moved.any()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_an_inserted_vector_takes_a_position_of_its_own(checkpoint: Checkpoint, family: str) -> None:
    params = params_of(checkpoint(family))
    model = build_model(params, plant(params, "text", rows=4).fitted).eval()
    rows = Rows(("1", "2"), ("bus", "a red bus stops"), None, np.zeros(2, np.int64))
    inputs = Inputs(
        rows, tokenise(load_tokenizer(params.backbone), rows, 16), {"image": np.ones((2, WIDTH), np.float32)}
    )
    add_words(params, inputs)
    batch = inputs.batch(np.arange(2))
    assert isinstance(model, VisuallyAugmentedWriter) and batch.mask is not None
    table, part = position_table(model.backbone.encoder), batch.extras[NAME]
    assert table is not None and isinstance(part, WordBatch)
    first = {"bert": 0, "roberta": 2}[family]
    asked: list[Tensor] = []
    hook = table.register_forward_hook(lambda _module, inputs, _output: asked.append(inputs[0]))
    memory = model(batch).memory
    hook.remove()
    query, places = asked
    assert (query == part.position + first).all()
    assert memory.mask is not None
    lengths = batch.mask.sum(1)
    assert lengths[0] < lengths[1] and (memory.mask.sum(1) == lengths + 1).all()
    for row in range(2):
        real = places.expand_as(memory.mask)[row][memory.mask[row]]
        assert real.tolist() == list(range(first, first + int(lengths[row]) + 1))


@pytest.mark.parametrize(("family", "overrides"), [("bert", ()), ("t5", ()), ("t5", (FROZEN,))])
def test_gradient_reaches_what_trains_and_nothing_frozen(
    checkpoint: Checkpoint, family: str, overrides: tuple[str, ...]
) -> None:
    params = params_of(checkpoint(family), "training.max_steps=2", *overrides)
    planted = plant_words(params, rows=32)
    model = build_model(params, planted.fitted)
    alone = {"reformulation"} if overrides else {"backbone", "head", "reformulation"}
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == alone
    # with one word in every row the attention has nothing to choose from, so no key can learn
    keys = {"reformulation.key.weight", "reformulation.key.bias"}
    batch, labels = planted.train.batch(np.arange(16)), planted.train.labels_of(np.arange(16))
    model.train()
    model.task_loss(model(batch), labels).backward()
    silent = {
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    }
    assert silent == keys
    assert not {n for n, p in model.named_parameters() if not p.requires_grad and p.grad is not None}
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    Trainer(params, model, planted.train, planted.estimation, digest="vawi").run()
    assert {n.split(".")[0] for n, p in model.named_parameters() if not p.equal(before[n])} == alone


def test_a_frozen_t5_that_copies_words_is_told_by_vectors_what_to_say(checkpoint: Checkpoint) -> None:
    copying = ("training.lr_backbone=0.02", "training.epochs=10")
    text = generation_params(checkpoint("t5"), *copying, modalities="[text]")
    copier, _ = trained(text, plant(text, "text"))
    params = params_of(checkpoint("t5"), FROZEN, "training.lr_new=0.05")
    planted = plant_words(params)
    model = build_model(params, planted.fitted)
    model.backbone.load_state_dict(copier.backbone.state_dict())  # type: ignore[union-attr]
    model.head.load_state_dict(copier.head.state_dict())
    assert right(model, planted) < 2 * CHANCE
    Trainer(params, model, planted.train, planted.estimation, digest="vawi").run()
    assert right(model, planted) > 3 * CHANCE


@pytest.mark.parametrize(("family", "overrides"), [("bert", ()), ("t5", (FROZEN,))])
def test_a_trained_model_is_kept_and_writes_the_same_again(
    checkpoint: Checkpoint, tmp_path: Path, family: str, overrides: tuple[str, ...]
) -> None:
    params = own_task(tmp_path, checkpoint(family), "vawi", *overrides)
    run = assemble(params)
    Trainer(params, run.model, run.train, run.estimation, digest="vawi").run()
    expected = predict(run.model, run.evaluation, 8)["tokens"]
    save_pretrained(tmp_path / "model", run.model, params, run.fitted, run.tokenizer)
    found, _ = load_pretrained(tmp_path / "model")
    assert isinstance(found.model, VisuallyAugmentedWriter)
    own, again = run.model.state_dict(), found.model.state_dict()
    assert own.keys() == again.keys() and all(torch.equal(own[name], again[name]) for name in own)
    assert (predict(found.model, run.evaluation, 8)["tokens"] == expected).all()


def test_what_cannot_go_with_it_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    params = params_of(checkpoint("bert"), FROZEN)
    planted = plant_words(params_of(checkpoint("bert")), rows=4)
    with pytest.raises(ParamsError, match="freezes the decoder, and the one of backbone bert would be new"):
        build_model(params, planted.fitted)
    tiny = save_checkpoint("bert", tmp_path, max_position_embeddings=30)
    with pytest.raises(ParamsError, match="24 and 8 words of vawi, but the model has 30 positions"):
        build_model(params_of(tiny), planted.fitted)


def test_the_prefix_of_other_methods_does_not_name_its_units(checkpoint: Checkpoint, tmp_path: Path) -> None:
    slots = "generation.prefix_slots=9"
    plain, other = (own_task(tmp_path, checkpoint("t5"), "vawi", *more) for more in ((), (slots,)))
    assert Unit(plain, "").digest == Unit(other, "").digest
    frozen = own_task(tmp_path, checkpoint("t5"), "vawi", FROZEN)
    assert Unit(frozen, "").digest != Unit(plain, "").digest
