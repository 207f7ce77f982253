"""Prompt learning: the pre-trained heads answer as Hugging Face's own, alone and on fused states."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mase.baselines.prompt import blanked, restored, rewrite
from mase.data import Rows
from mase.em.loop import Trainer
from mase.errors import DataError, ParamsError
from mase.methods import build_model, model_class, trainable_parameters
from mase.model.backbone import load_tokenizer
from mase.model.preparation import Fitted
from mase.params import BackboneParams, PromptTemplate, available, load_params, read_named
from mase.pretrained import load_pretrained, save_pretrained
from mase.reading import predict_texts
from mase.training import assemble
from tests.baselines.heads import (
    MLM,
    NSP,
    PAIR_MLM,
    PAIR_NSP,
    in_order,
    plant_prompts,
    prompt_params,
    regression,
    with_head,
)
from tests.planted import predict_logits

TEXTS = st.text(alphabet="ab [MASK]{label}é\n", max_size=20)
METHODS = ("text", "mpb", "mase")


def shared(template: PromptTemplate, a: list[str], b: list[str]) -> Rows:
    ids = tuple(map(str, range(len(a))))
    return Rows(ids, tuple(a), tuple(b) if template.pairs else None, np.zeros(len(a), np.int64))


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
@pytest.mark.parametrize("content", [NSP, MLM, PAIR_NSP, PAIR_MLM])
def test_rows_can_be_read_back_out_of_their_prompts(content, texts):
    template = PromptTemplate.model_validate(content)
    rows = shared(template, [a for a, _ in texts], [b for _, b in texts])
    seen = rewrite(template, rows)
    own = restored(template, seen)
    without = [text.replace("[MASK]", "[mask]") for text in rows.texts_a]
    assert own.texts_a == tuple(t for t in without for _ in range(seen.options))
    assert (own.texts_b is None) == (rows.texts_b is None) and len(own.texts_a) == len(seen.texts_a)
    assert sum(t.count("[MASK]") for t in seen.texts_a + (seen.texts_b or ())) == len(rows) * (
        content in (MLM, PAIR_MLM)
    )
    white = blanked(template, seen)
    for filled, blank in zip(seen.texts_a + seen.texts_b, white.texts_a + white.texts_b, strict=True):
        assert len(filled) == len(blank) and all(x in (" ", y) for x, y in zip(blank, filled, strict=True))


@pytest.mark.parametrize("task", available("prompts"))
def test_shipped_prompts_fit_their_tasks(task):
    for kind in ("mlm", "nsp"):
        settings = read_named("tasks", task)
        files = () if settings.get("embedded") else ("data.source=files", "data.dir=unread")
        params = load_params(
            task, profile="smoke", overlays=("methods/prompt",), overrides=(f"head.kind={kind}", *files)
        )
        assert params.prompt is not None
        assert params.prompt.of(kind).pairs == (params.second_texts == 1)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, tuple[BackboneParams, torch.nn.Module]]:
    return {f: with_head(f, tmp_path_factory.mktemp(f)) for f in ("bert", "roberta")}


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_cloze_is_answered_as_by_the_checkpoint_itself(checkpoints, family):
    backbone, whole = checkpoints[family]
    params = prompt_params(backbone, "text", MLM)
    planted = plant_prompts(params, lambda *_: "a red bus", rows=4)
    model = build_model(params, planted.fitted).eval()
    batch = planted.test.batch(np.arange(3))
    tokenizer = load_tokenizer(backbone)
    types = {"token_type_ids": batch.types} if family == "bert" else {}
    out = whole(batch.ids, attention_mask=batch.mask.long(), **types)
    logits = out.prediction_logits if family == "bert" else out.logits
    words = [tokenizer.encode(f" {w}", add_special_tokens=False)[-1] for w in MLM["words"]]
    at = (batch.ids == tokenizer.mask_token_id).nonzero()
    assert len(at) == 3
    assert torch.allclose(model(batch).logits, logits[at[:, 0], at[:, 1]][:, words], atol=1e-5)


def test_nsp_is_the_next_sentence_score_of_each_label_s_sentence(checkpoints):
    backbone, whole = checkpoints["bert"]
    params = prompt_params(backbone, "text", NSP)
    planted = plant_prompts(params, lambda label, _: "rain" if label else "a red bus", rows=4)
    model = build_model(params, planted.fitted).eval()
    found = model(planted.test.batch(np.arange(3))).logits
    tokenizer = load_tokenizer(backbone)
    for row, text in enumerate(planted.test.inputs.rows.texts_b[: 2 * 3 : 2]):
        for label, word in enumerate(NSP["words"]):
            asked = tokenizer(f"{word} is what it is", text, return_tensors="pt")
            score = whole(**asked).seq_relationship_logits[0]
            assert found[row, label].item() == pytest.approx((score[0] - score[1]).item(), abs=1e-5)


@pytest.mark.parametrize("prompt", [MLM, NSP])
def test_mpb_and_mase_start_at_prompt_learning_on_the_text_alone(checkpoints, prompt):
    backbone, _ = checkpoints["bert"]
    logits = {}
    for method in METHODS:
        params = prompt_params(backbone, method, prompt)
        planted = plant_prompts(params, lambda label, _: "rain" if label else "a red bus", rows=8)
        logits[method] = predict_logits(build_model(params, planted.fitted), planted.train.inputs, 16)
    assert torch.allclose(
        logits["mpb"][:, 0] - logits["mpb"][:, 1], logits["text"][:, 0] - logits["text"][:, 1], atol=1e-5
    )
    assert torch.allclose(logits["mase"], logits["text"], atol=1e-5)


def accuracy(model, planted) -> float:
    logits = predict_logits(model, planted.test.inputs, 32)
    return float((logits.argmax(1) == planted.test.labels).float().mean())


def fit(params, planted):
    model = build_model(params, planted.fitted)
    Trainer(params, model, planted.train, planted.estimation, digest="p").run()
    return model


@pytest.mark.parametrize("prompt", [MLM, NSP])
def test_a_signal_in_the_text_is_learned_and_noise_is_not(checkpoints, prompt):
    backbone, _ = checkpoints["bert"]
    params = prompt_params(backbone, "text", prompt)
    told = plant_prompts(params, lambda label, _: ("the dog barks", "rain")[label])
    assert accuracy(fit(params, told), told) > 0.95
    noise = plant_prompts(params, lambda _, g: ("the dog barks", "rain")[g.integers(2)])
    assert accuracy(fit(params, noise), noise) < 0.65


@pytest.mark.parametrize("method", ["mpb", "mase"])
def test_a_signal_in_a_proxy_reaches_the_pre_trained_head(checkpoints, method):
    backbone, _ = checkpoints["bert"]
    params = prompt_params(backbone, method, MLM)
    told = plant_prompts(params, lambda *_: "a red bus", informative="image")
    assert accuracy(fit(params, told), told) > 0.8
    text = prompt_params(backbone, "text", MLM)
    alone = plant_prompts(text, lambda *_: "a red bus")
    assert accuracy(fit(text, alone), alone) < 0.65


@pytest.mark.parametrize(("method", "prompt"), [("text", MLM), ("mase", NSP), ("mpb", NSP)])
def test_predictions_depend_on_neither_batches_nor_order(checkpoints, method, prompt):
    params = prompt_params(checkpoints["bert"][0], method, prompt)
    texts = ("the dog barks at a car", "rain", "two men in a boat")
    planted = plant_prompts(params, lambda _, g: texts[g.integers(3)], rows=4)
    model = build_model(params, planted.fitted)
    whole = predict_logits(model, planted.test.inputs, 100)
    assert torch.allclose(predict_logits(model, planted.test.inputs, 3), whole, atol=1e-5)
    order = np.random.default_rng(1).permutation(100)
    assert torch.allclose(predict_logits(model, in_order(planted.test, order), 7), whole[order], atol=1e-5)


@pytest.mark.parametrize(("method", "prompt"), [("text", MLM), ("mpb", NSP)])
def test_gradients_reach_the_head_and_the_backbone(checkpoints, method, prompt):
    params = prompt_params(checkpoints["bert"][0], method, prompt)
    planted = plant_prompts(params, lambda *_: "rain", rows=8)
    model = build_model(params, planted.fitted)
    model.task_loss(model(planted.train.batch(np.arange(8))), planted.train.labels[:8]).backward()
    untouched = {n for n, p in model.named_parameters() if p.grad is None}
    assert untouched <= {"head.pretrained.model.cls.predictions.decoder.bias"}
    assert set(trainable_parameters(model)) == {"total", "backbone", "head"}


def test_with_a_soft_prompt_the_pre_trained_head_is_frozen(checkpoints):
    backbone = checkpoints["bert"][0].model_copy(update={"adapter": "prompt", "prompt_tokens": 4})
    params = prompt_params(backbone, "text", MLM)
    planted = plant_prompts(params, lambda label, _: ("the dog barks", "rain")[label], rows=16)
    model = build_model(params, planted.fitted)
    assert trainable_parameters(model) == {"total": 4 * 32, "backbone": 4 * 32}
    before = {n: p.clone() for n, p in model.named_parameters()}
    Trainer(params, model, planted.train, planted.estimation, digest="p").run()
    assert {n for n, p in model.named_parameters() if not p.equal(before[n])} == {
        "backbone.prompt.embedding.weight"
    }


@pytest.mark.parametrize(("method", "prompt"), [("mase", MLM), ("mpb", NSP)])
def test_a_saved_model_predicts_the_same(checkpoints, tmp_path, method, prompt):
    params = prompt_params(checkpoints["bert"][0], method, prompt, "modalities=[text, image]")
    planted = plant_prompts(params, lambda *_: "rain", rows=8)
    model = build_model(params, planted.fitted).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_pretrained(tmp_path / "model", model, params, planted.fitted, load_tokenizer(params.backbone))
    loaded, _ = load_pretrained(tmp_path / "model")
    batch = planted.test.batch(np.arange(5))
    assert loaded.model(batch).logits.equal(model(batch).logits)


def test_new_texts_are_prompted_like_the_training_rows(checkpoints, tmp_path):
    params = prompt_params(checkpoints["bert"][0], "text", NSP)
    planted = plant_prompts(params, lambda label, _: ("the dog barks", "rain")[label])
    model = fit(params, planted)
    save_pretrained(tmp_path / "model", model, params, planted.fitted, load_tokenizer(params.backbone))
    loaded, read = load_pretrained(tmp_path / "model")
    frame = predict_texts(loaded, read, ["rain", "the dog barks"])["frame"]
    assert frame["prediction"].tolist() == [1, 0]


@pytest.mark.parametrize("prompt", [MLM, NSP])
def test_scores_are_interpolated_between_the_two_words(checkpoints, prompt):
    params = regression(prompt_params(checkpoints["bert"][0], "mase", prompt))
    planted = plant_prompts(params, lambda label, _: ("the dog barks", "rain")[label], rows=8)
    model = build_model(params, planted.fitted).eval()
    output = model(planted.test.batch(np.arange(20)))
    assert output.logits.shape == (20, 1) and bool(((output.logits > 1) & (output.logits < 3)).all())
    assert model.modality_logits(output.post).shape == (20, 4, 1)


def test_what_has_no_pre_trained_head_is_refused(checkpoints):
    minilm = load_params("looks", profile="smoke", backbone="minilm").backbone
    for prompt, wanted in ((MLM, "no masked-word head"), (NSP, "no next-sentence head")):
        prompt = prompt | {"words": ("cold", "warm")}
        with pytest.raises(ParamsError, match=wanted + r"(.|\n)*--backbone bert-base"):
            build_model(prompt_params(minilm, "text", prompt), Fitted(None, {}, {}))
    with pytest.raises(ParamsError, match="roberta have no next-sentence head.*head.kind: mlm"):
        build_model(prompt_params(checkpoints["roberta"][0], "text", NSP), Fitted(None, {}, {}))


def test_a_word_of_several_tokens_is_refused(checkpoints):
    prompt = MLM | {"words": ("fishing", "a")}
    with pytest.raises(ParamsError, match="'fishing' must be one token"):
        build_model(prompt_params(checkpoints["bert"][0], "text", prompt), Fitted(None, {}, {}))


def test_a_blank_that_was_cut_off_is_an_error(checkpoints):
    prompt = {"first": "{a} is [MASK]", "words": ("a", "r"), "second": None}
    params = prompt_params(checkpoints["bert"][0], "text", {**prompt, "second": "here"})
    planted = plant_prompts(params, lambda *_: "two men in a boat are fishing on the quiet lake " * 3, rows=4)
    model = build_model(params, planted.fitted)
    with pytest.raises(DataError, match="blank was cut off"):
        model(planted.test.batch(np.arange(2)))


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (("m_objective=mixture", "fusion.proxy_gate=none", "fusion.rescale=none"), "m_objective: fused"),
        (("allocation.head=probe",), "allocation.head: shared"),
        (("head.hidden=8",), "head.hidden does not apply"),
        (("prompt={mlm: {first: '{a}', second: 'it is [MASK]', words: [a, b, c]}}",), "words are 3"),
        (("prompt={mlm: {first: '{a} {b}', second: '[MASK]', words: [a, b]}}",), "one of {a} and {b}"),
        (("prompt={mlm: {first: '{a}', second: '{label}', words: [a, b]}}",), "its blank is"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides, wanted):
    with pytest.raises(ParamsError, match=wanted):
        load_params("looks", profile="smoke", overlays=("methods/mase_prompt",), overrides=overrides)


def test_the_template_counts_and_the_other_one_does_not(tmp_path: Path):
    from mase.units import Unit

    def digest(*overrides: str) -> str:
        return Unit(
            load_params("looks", profile="smoke", overlays=("methods/prompt",), overrides=overrides), ""
        ).digest

    assert digest("prompt.mlm.second=It is [MASK].") != digest()
    assert digest("prompt.nsp.first=The {label} one.") == digest() == digest("head.dropout=0.3")


def test_nodes_and_duplicates_are_of_the_row_s_text_and_not_of_the_template():
    params = load_params("looks", profile="smoke", overlays=("methods/mase_prompt_nsp",))
    inputs = assemble(params).train.inputs
    assert inputs.nodes is not None and len(inputs.nodes.sentence) > 50
    assert set(inputs.nodes.sentence.tolist()) == {1}, "the first segment is a label's sentence"
    assert inputs.tokens is not None and inputs.rows.options == 2
    assert {len(keys) for keys in inputs.keys} == {1} and inputs.keys[0] == inputs.keys[1] != inputs.keys[2]
    assert inputs.proxies["image"][0::2].tolist() == inputs.proxies["image"][1::2].tolist()


def test_a_task_without_a_prompt_or_of_another_family_is_refused():
    files = ("data.source=files", "data.dir=unread")
    for task, wanted in (
        ("commonsense_qa", "a multiple_choice task"),
        ("vicomte_color_supervised", "has no prompt"),
    ):
        params = load_params(task, profile="smoke", overlays=("methods/mase_prompt",), overrides=files)
        with pytest.raises(ParamsError, match=wanted):
            model_class(params)
