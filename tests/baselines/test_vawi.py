"""VAWI: which words, where their vectors go, what learns, and a signal that only the words' vectors carry."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mase.baselines.vawi.model import VisuallyAugmentedModel
from mase.baselines.vawi.reformulation import LearnedSelector, Reformulation, WordPositions, insert
from mase.baselines.vawi.slots import NAME, WordBatch, WordSlots, word_slots
from mase.baselines.vawi.words import candidates, last_tokens, prompt_of, selected, words_of
from mase.data import Rows
from mase.em.estep import Labelled
from mase.em.loop import Trainer
from mase.errors import ParamsError
from mase.methods import build_model
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.features import Standardiser
from mase.model.inputs import Inputs
from mase.model.preparation import Fitted, align, build_inputs, extract_all, fit
from mase.model.tokens import tokenise
from mase.params import Params, load_params
from mase.reading import predict_texts
from mase.training import assemble
from mase.units import Unit
from tests.baselines.saving import saved_and_loaded
from tests.planted import Planted, predict_logits, trained
from tests.tiny_backbones import save_checkpoint

FAST = ("training.lr_new=0.01", "training.lr_backbone=0.005", "allocation.iterations=2")
RANDOM = "towers.image=random-image"


def vawi_params(*overrides: str, task: str = "looks") -> Params:
    return load_params(task, profile="smoke", overlays=("methods/vawi",), overrides=(*FAST, *overrides))


def words_in(found: dict, text: str) -> list[str]:
    return [text[w.start : w.end] for w in found[text]]


def test_syntax_takes_nouns_and_adjectives_the_first_k():
    text = "The old dog quickly chased two red balls. It barked!"
    params = vawi_params()
    assert words_in(selected(params, [text]), text) == ["old", "dog", "red", "balls"]
    assert words_in(selected(vawi_params("vawi.words=3"), [text]), text) == ["old", "dog", "red"]
    assert words_in(words_of([text]), text)[-2:] == ["It", "barked"]  # no punctuation
    (dog,) = [w for w in words_of([text])[text] if text[w.start : w.end] == "dog"]
    assert prompt_of(text, dog) == "a photo of: dog"


def test_attention_takes_the_words_that_the_tower_looks_at(monkeypatch):
    texts = ["one two three four", "a", ""]
    params = vawi_params(RANDOM, "vawi.selector=attention", "vawi.words=2")
    shares = {"one": 0.1, "two": 0.4, "three": 0.2, "four": 0.2, "a": 1.0}
    monkeypatch.setattr(
        "mase.baselines.vawi.words.word_attention",
        lambda tower, words: [np.array([shares[w] for w in text]) for text in words],
    )
    found = selected(params, texts)
    assert words_in(found, texts[0]) == ["two", "three"] and words_in(found, "a") == ["a"] and found[""] == []
    assert words_in(candidates(params, texts), texts[0]) == texts[0].split()  # all are encoded
    other = vawi_params("towers.image=text-encoder", "vawi.selector=attention")
    with pytest.raises(ParamsError, match="needs CLIP's text transformer"):
        selected(other, texts)


def test_a_word_is_placed_at_its_last_token_in_its_own_text_or_nowhere():
    tokenizer = load_tokenizer(vawi_params().backbone)
    rows = Rows(("1",), ("a skyscraperish lamp",), ("lamp lamps",), np.array([0]))
    table = tokenise(tokenizer, rows, 48)
    tokens = tokenizer.convert_ids_to_tokens(table.ids.tolist())
    first, second = (words_of([t])[t] for t in (rows.texts_a[0], rows.texts_b[0]))
    places = [last_tokens(table, 0, 0, first), last_tokens(table, 0, 1, second)]
    assert tokens[places[0][1]].startswith("##") and tokens[places[0][1] + 1] == "lamp"
    assert [tokens[i] for i in places[1]] == ["lamp", "lamps"] and places[1][0] > places[0][2] + 1
    cut = tokenise(tokenizer, Rows(("1",), ("a lamp and a dog",), None, np.array([0])), 4)
    assert last_tokens(cut, 0, 0, words_of(["a lamp and a dog"])["a lamp and a dog"]).tolist()[2:] == [-1] * 3


def test_vectors_go_right_after_their_columns_and_padding_stays_outside():
    embedded = torch.arange(8.0).reshape(2, 4, 1)
    vectors = torch.tensor([[[10.0], [20.0]], [[30.0], [40.0]]])
    types = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0]])
    column, present = torch.tensor([[0, 2], [1, 0]]), torch.tensor([[True, True], [True, False]])
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    whole, longer, kinds = insert(embedded, mask, types, vectors, column, present)
    assert whole[0, :, 0].tolist() == [0, 10, 1, 2, 20, 3] and kinds[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert whole[1, longer[1], 0].tolist() == [4, 5, 30, 6] and longer[1].tolist() == [True] * 4 + [False] * 2
    assert kinds[1, :4].tolist() == [0, 1, 1, 1]
    left = torch.tensor([[True] * 4, [False, True, True, True]])
    whole, longer, _ = insert(embedded, left, types, vectors, column, present)
    assert longer[1].tolist() == [False] * 2 + [True] * 4 and whole[1, 2:, 0].tolist() == [5, 30, 6, 7]
    none = torch.zeros(2, 0, dtype=torch.long)
    same = insert(embedded, mask, types, torch.zeros(2, 0, 1), none, none.bool())
    assert all(a.equal(b) for a, b in zip(same, (embedded, mask, types), strict=True))


def test_the_reformulation_is_the_formula_and_absent_words_are_no_keys():
    layer = Reformulation(5, 4, 0.1)
    positions, features = torch.randn(1, 3, 4), torch.randn(1, 3, 5)
    keys = features[0, :2] @ layer.key.weight.T + layer.key.bias
    values = features[0, :2] @ layer.value.weight.T + layer.value.bias
    expected = torch.softmax(positions[0, :2] @ keys.T / 2, -1) @ values
    found = layer(positions, features, torch.tensor([[True, True, False]]))
    assert torch.allclose(found[0, :2], expected, atol=1e-6) and not found[0, 2].any()
    assert not layer(positions, features, torch.zeros(1, 3, dtype=torch.bool)).any()  # and no nan


def test_the_learned_selector_takes_the_best_of_each_text_and_is_trained_through_them():
    torch.manual_seed(0)
    selector = LearnedSelector(6, 2, 0.7)
    states = torch.randn(4, 7, 6)
    sentence = torch.tensor([[0, 0, 0, 1, 1, 1, -1]] * 3 + [[-1] * 7])
    gates = selector.eval()(states, sentence)
    scores = selector.score(states).squeeze(-1)
    for row in range(3):
        best = {*scores[row, :3].topk(2).indices.tolist(), *(3 + scores[row, 3:6].topk(2).indices).tolist()}
        assert set(gates[row].nonzero().flatten().tolist()) == best
    assert torch.allclose(gates[gates > 0], torch.ones(12)) and not gates[3].any()
    draws = {tuple((selector.train()(states, sentence) > 0)[0].tolist()) for _ in range(20)}
    assert len(draws) > 1  # noise in training
    (gates * torch.randn_like(gates)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in selector.parameters())
    assert selector.score[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "distilbert", "t5", "xlnet", "deberta-v2"])
def test_every_family_reads_the_same_with_no_words_and_other_numbers_with_some(tmp_path, family):
    params = save_checkpoint(family, tmp_path)
    backbone = Backbone(params).eval()
    rows = Rows(("1", "2"), ("a red bus stops here", "rain"), None, np.array([0, 1]))
    tokens = tokenise(load_tokenizer(params), rows, 24)
    ids, mask, types = tokens.pad(np.arange(2))
    embedded, width = backbone.words(ids), backbone.words.embedding_dim
    none = torch.zeros(2, 1, dtype=torch.long)
    expected, pooled = backbone(ids, mask, types)
    vectors = torch.ones(2, 1, width)
    states, same = backbone.read_embedded(*insert(embedded, mask, types, vectors, none, none.bool()))
    assert torch.allclose(states[mask], expected[mask], atol=1e-5) and torch.allclose(same, pooled, atol=1e-5)
    column = torch.tensor([[tokens.columns(i, ids.shape[1]).start] for i in range(2)])
    _, other = backbone.read_embedded(*insert(embedded, mask, types, vectors, column, none == 0))
    assert (other - pooled).abs().min(0).values.max() > 1e-3
    query = WordPositions(backbone.encoder, width)(torch.tensor([[0, 3]]))
    assert query.shape == (1, 2, width) and not query[0, 0].equal(query[0, 1])
    if family == "roberta":  # its first position is row 2
        assert query[0, 0].equal(backbone.encoder.embeddings.position_embeddings.weight[2])


def plant_words(params: Params, rows: int = 160, signal: bool = True, telling: int = 0) -> Planted:
    """Return splits of rows with two looked-up words, of which only the vector of one tells the label.

    Every row has vectors of its own for its words, so that no text tells the label.
    """
    generator, tokenizer = np.random.default_rng(0), load_tokenizer(params.backbone)

    def split(name: str, count: int) -> Labelled:
        labels = generator.integers(0, 2, count)
        texts = tuple(" ".join(["the", generator.choice(["lamp", "dog"]), "and", "rain"]) for _ in labels)
        part = Rows(tuple(f"{name}{i}" for i in range(count)), texts, None, labels)
        tokens = tokenise(tokenizer, part, 16)
        vocabulary = generator.normal(size=(2 * count, 16)).astype(np.float32)
        vocabulary[telling::2, 0] = 3 * (2 * labels - 1) * signal
        position = np.tile([2, 4], count)
        slots = WordSlots(
            tokens, vocabulary, np.arange(0, 2 * count + 1, 2), np.arange(2 * count), position, 0 * position
        )
        proxies = {"image": np.zeros((count, 16), np.float32)}
        return Labelled(Inputs(part, tokens, proxies, extras={NAME: slots}), torch.from_numpy(labels))

    identity = Standardiser(np.zeros(16, np.float32), np.ones(16, np.float32))
    return Planted(split("a", rows), split("b", 20), split("c", 100), Fitted(None, {"image": identity}, {}))


def planted_params(*overrides: str) -> Params:
    params = vawi_params("training.epochs=5", *overrides)
    tower = params.towers["image"].model_copy(update={"output_width": 16})
    return params.model_copy(update={"towers": {"image": tower}})


def accuracy(params: Params, planted: Planted) -> float:
    model, _ = trained(params, planted)
    logits = predict_logits(model, planted.test.inputs, 16)
    return float((logits.argmax(1) == planted.test.labels).float().mean())


@pytest.mark.parametrize("how", ["selector=syntax", "selector=learned", "train=reformulation"])
def test_a_signal_in_the_words_vectors_is_learned(how):
    params = planted_params(f"vawi.{how}")
    assert accuracy(params, plant_words(params)) > 0.85


@pytest.mark.parametrize("telling", [0, 1])
def test_the_learned_selector_learns_which_word_tells(telling):
    params = planted_params("vawi.selector=learned", "vawi.words=1", "training.epochs=6")
    planted = plant_words(params, telling=telling)
    model, _ = trained(params, planted)
    assert isinstance(model, VisuallyAugmentedModel)
    batch = planted.test.inputs.batch(np.arange(100))
    part = batch.extras[NAME]
    assert isinstance(part, WordBatch)
    gates = model.eval().chosen(batch, part)
    assert gates[:, telling].mean() > 0.9


def test_noise_in_the_words_vectors_is_not_learned():
    params = planted_params()
    assert accuracy(params, plant_words(params, signal=False)) < 0.7


@pytest.mark.parametrize("selector", ["syntax", "attention", "learned"])
def test_gradients_reach_what_trains_and_nothing_frozen(selector):
    run = assemble(vawi_params(RANDOM, f"vawi.selector={selector}", "vawi.words=2"))
    run.model.train()
    run.model.task_loss(run.model(run.train.batch(np.arange(16))), run.train.labels[:16]).backward()
    assert {n for n, p in run.model.named_parameters() if p.grad is None} == set()
    assert (run.model.selector is not None) == (selector == "learned")
    if selector == "learned":
        assert any(bool(p.grad.any()) for p in run.model.selector.parameters())


def test_only_the_reformulation_and_the_head_train_where_asked():
    params = vawi_params("vawi.train=reformulation", "training.max_steps=2")
    run = assemble(params)
    before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
    Trainer(params, run.model, run.train, run.estimation, digest="vawi").run()
    moved = {n.split(".")[0] for n, p in run.model.named_parameters() if not p.equal(before[n])}
    assert moved == {"reformulation", "head"}


@pytest.mark.parametrize("selector", ["syntax", "learned"])
def test_predictions_do_not_depend_on_batches_or_order(selector):
    run = assemble(vawi_params(f"vawi.selector={selector}"))
    whole = predict_logits(run.model, run.evaluation, 48)
    assert torch.allclose(predict_logits(run.model, run.evaluation, 5), whole, atol=1e-5)
    order = np.random.default_rng(0).permutation(48)
    run.model.eval()
    assert torch.allclose(run.model(run.evaluation.batch(order)).logits, whole[order], atol=1e-5)


@pytest.mark.parametrize("selector", ["attention", "learned"])
def test_a_saved_model_predicts_the_same_and_reads_new_texts(tmp_path, selector):
    params = vawi_params(RANDOM, f"vawi.selector={selector}", "training.max_steps=2")
    run = assemble(params)
    Trainer(params, run.model, run.train, run.estimation, digest="vawi").run()
    loaded, read = saved_and_loaded(run, params, tmp_path / "model", texts=5, tolerance=1e-3)
    assert np.isfinite(
        predict_texts(loaded, read, ["!"])["predicted"]["logits"]
    ).all()  # a text without words


def test_the_words_of_pairs_are_of_both_texts_and_the_placebo_gives_each_another_vector():
    params = vawi_params("data.source=files", "data.dir=unread", task="mrpc")
    rows = Rows(("1", "2"), ("a lamp", "rain"), ("the red dog", "it ran"), np.array([0, 1]))
    tables = extract_all(params, [rows], None, model=VisuallyAugmentedModel)
    tokenizer = load_tokenizer(params.backbone)
    aligned = align(params, tables, rows, tokenizer)
    fitted = fit(params, tables, rows, aligned)
    inputs = build_inputs(params, fitted, tables, rows, tokenizer, aligned, VisuallyAugmentedModel)
    part = inputs.batch(np.arange(2)).extras[NAME]
    assert isinstance(part, WordBatch)
    assert part.sentence.tolist() == [[0, 1, 1], [0, -1, -1]] and part.present.sum() == 4
    names = tokenizer.convert_ids_to_tokens(inputs.batch(np.arange(1)).ids[0].tolist())
    assert [names[i] for i in part.column[0]] == ["lamp", "red", "dog"]
    model = build_model(params, fitted).eval()
    assert model(inputs.batch(np.arange(2))).logits.shape == (2, 2)
    placebo = params.model_copy(update={"proxies": params.proxies.model_copy(update={"shuffle": True})})
    honest, shuffled = (word_slots(p, fitted, tables, rows, aligned.tokens) for p in (params, placebo))
    assert sorted(shuffled.word) == sorted(honest.word) and (shuffled.word != honest.word).all()
    assert (shuffled.position == honest.position).all()


def test_what_cannot_go_with_it_is_refused(tmp_path: Path):
    for override, message in (
        ("backbone.freeze_layers=1", "set backbone.freeze_layers to 0"),
        ("backbone.adapter=prompt", "set backbone.adapter to none or lora"),
        ("modalities=[text, audio]", "modalities text and image"),
    ):
        with pytest.raises(ParamsError, match=message):
            vawi_params(override)
    with pytest.raises(ParamsError, match="freezes the language model"):
        vawi_params("vawi.train=reformulation", "backbone.adapter=lora")
    tiny = save_checkpoint("bert", tmp_path, max_position_embeddings=30)
    params = vawi_params().model_copy(update={"backbone": tiny})
    with pytest.raises(ParamsError, match="24 and 8 words of vawi, but the model has 30 positions"):
        build_model(params, plant_words(planted_params(), rows=4).fitted)


def test_its_settings_count_for_its_runs_alone():
    plain = load_params("looks", profile="smoke", overlays=("methods/mpb_image",))
    other = plain.model_copy(update={"vawi": plain.vawi.model_copy(update={"words": 3})})
    assert Unit(other, "").digest == Unit(plain, "").digest
    mine = vawi_params()
    assert (
        len({Unit(vawi_params(*o), "").digest for o in ((), ("vawi.words=3",), ("vawi.selector=learned",))})
        == 3
    )
    cooler = mine.model_copy(update={"vawi": mine.vawi.model_copy(update={"temperature": 0.5})})
    assert Unit(cooler, "").digest == Unit(mine, "").digest  # syntax has no temperature
