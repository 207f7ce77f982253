"""VOKEN: released layouts load as plain encoders, vokens are the nearest images, pre-training learns them."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, BertForPreTraining, RobertaForMaskedLM

from mase.baselines.voken.corpus import corpus_of
from mase.baselines.voken.pretraining import Recipe, VokenHead, pretrain, pretrain_and_save
from mase.baselines.voken.vokens import VokenTable, contexts_of, read_captions, voken_table, vokenise
from mase.errors import CheckpointFormatError, DataError, MissingWeightsError, ParamsError
from mase.model.backbone import Backbone, load_tokenizer
from mase.params import BackboneParams, load_params, read_named, validate
from mase.training import assemble
from mase.units import Unit
from tests.tiny_backbones import save_checkpoint

VOKENS = 7
FAMILIES = {"bert": BertForPreTraining, "roberta": RobertaForMaskedLM}


def release(family: str, folder: Path, *, visual: bool = True) -> tuple[BackboneParams, torch.nn.Module]:
    """Write a checkpoint as vokenization's scripts did: torch file, their class, tokenizer apart."""
    apart = folder / "tokenizer"
    plain = save_checkpoint(family, apart)
    torch.manual_seed(2)
    model = FAMILIES[family](AutoConfig.from_pretrained(apart)).eval()
    width = model.config.hidden_size
    state = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("cls.seq_relationship")}
    state[f"{family}.embeddings.position_ids"] = torch.arange(512).unsqueeze(0)
    state.setdefault(f"{family}.pooler.dense.weight", torch.zeros(width, width))
    state.setdefault(f"{family}.pooler.dense.bias", torch.zeros(width))
    if visual:
        head = {
            "dense.weight": (width, width),
            "dense.bias": (width,),
            "layer_norm.weight": (width,),
            "layer_norm.bias": (width,),
            "decoder.weight": (VOKENS, width),
            "decoder.bias": (VOKENS,),
        }
        state |= {f"visual_cls_head.{name}": torch.zeros(shape) for name, shape in head.items()}
    torch.save(state, folder / "pytorch_model.bin")
    config = model.config.to_dict() | {
        "architectures": ["CoLwithBert"],
        "do_voken_cls": True,
        "do_voken_ctr": False,
        "do_voken_reg": False,
        "shared_head": False,
        "verbose": True,
        "voken_dim": None,
        "voken_size": VOKENS,
    }
    (folder / "config.json").write_text(json.dumps(config))
    released = {"ref": str(folder), "layout": "voken", "tokenizer": str(apart)}
    return plain.model_copy(update=released), model


@pytest.mark.parametrize(("family", "visual"), [("bert", True), ("roberta", True), ("bert", False)])
def test_a_released_checkpoint_is_the_plain_encoder(tmp_path, caplog, family, visual):
    params, model = release(family, tmp_path, visual=visual)
    with caplog.at_level(logging.WARNING, logger="mase.model.voken_layout"):
        backbone = Backbone(params).eval()
    tokenizer = load_tokenizer(params)
    assert (
        tokenizer("a red bus")["input_ids"]
        == load_tokenizer(
            params.model_copy(update={"ref": params.tokenizer, "layout": "huggingface", "tokenizer": None})
        )("a red bus")["input_ids"]
    )
    coded = tokenizer(
        ["a red bus stops here", "rain"], padding=True, return_tensors="pt", return_token_type_ids=True
    )
    states, _ = backbone(coded["input_ids"], coded["attention_mask"].bool(), coded["token_type_ids"])
    types = {"token_type_ids": coded["token_type_ids"]} if family == "bert" else {}
    expected = model.base_model(coded["input_ids"], attention_mask=coded["attention_mask"], **types)
    assert torch.allclose(states, expected.last_hidden_state, atol=1e-5)
    said = caplog.text
    assert ("visual_cls_head (6)" in said) == visual
    assert f"{family}.pooler (2)" in said and f"{family}.embeddings (1)" in said
    assert ("cls (" if family == "bert" else "lm_head (") in said


def edited(folder: Path, change) -> None:
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    change(state)
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (
            lambda s: s.update({"visual_reg_head.dense.weight": torch.zeros(1)}),
            "unknown tensors.*visual_reg_head",
        ),
        (
            lambda s: s.pop("bert.encoder.layer.0.output.dense.weight"),
            "lacks 1 tensors.*layer.0.output.dense.weight",
        ),
        (lambda s: s.update({"bert.extra.weight": torch.zeros(1)}), "unknown 1 tensors.*bert.extra.weight"),
        (lambda s: s.update({"bert.embeddings.word_embeddings.weight": torch.zeros(3, 32)}), "another shape"),
        (lambda s: [s.update({"module." + k: s.pop(k)}) for k in list(s)], "unknown tensors"),
    ],
)
def test_anything_else_in_the_file_is_refused(tmp_path, change, wanted):
    params, _ = release("bert", tmp_path)
    edited(tmp_path, change)
    with pytest.raises(CheckpointFormatError, match=wanted):
        Backbone(params)


def test_a_folder_without_weights_or_of_another_source_is_refused(tmp_path):
    params, _ = release("bert", tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(MissingWeightsError, match="none of pytorch_model.bin"):
        Backbone(params)
    with pytest.raises(ParamsError, match="set source to path"):
        load_params("looks", profile="smoke", overrides=("backbone.layout=voken",))


@pytest.mark.parametrize("name", ["voken-bert", "voken-roberta", "wiki-bert"])
def test_shipped_backbones_are_found_below_the_store_and_train(name, mase_home):
    folder = mase_home / "checkpoints" / read_named("backbones", name)["ref"]
    folder.mkdir(parents=True)
    with pytest.raises(MissingWeightsError, match="--backbone minilm"):
        Backbone(validate(BackboneParams, read_named("backbones", name), name))
    release("bert", folder, visual=name != "wiki-bert")
    tokenizer = f"backbone.tokenizer={folder / 'tokenizer'}"
    short = ("backbone.max_length=24", tokenizer)
    params = load_params("looks", profile="smoke", backbone=name, overlays=("methods/text",), overrides=short)
    assert assemble(params).model.backbone.width == 32  # type: ignore[union-attr]
    before = Unit(params, "").digest
    edited(folder, lambda s: s["bert.embeddings.word_embeddings.weight"].add_(1))
    assert Unit(params, "").digest != before


class Letters:
    """A tower whose vector counts the letters of a text."""

    name, modality, width, digest = "letters", "image", 26, "letters"

    def encode(self, texts) -> np.ndarray:
        return np.array([[t.lower().count(chr(97 + i)) for i in range(26)] for t in texts], np.float32)


def test_a_token_s_voken_is_the_picture_nearest_to_its_word_in_context():
    assert contexts_of("A red bus, here!") == [
        ((0, 1), "A red bus"),
        ((2, 5), "A red bus, here"),
        ((6, 9), "A red bus, here"),
        ((11, 15), "red bus, here"),
    ]
    eye = np.eye(26, dtype=np.float32)
    table = VokenTable(eye - eye.mean(0), stand_in=False)
    found = vokenise(Letters(), table, ["zz zzz zz", "qq qqq qq"])
    assert [[voken for _, voken in words] for words in found] == [[25] * 3, [16] * 3]


def captions_file(folder: Path, pictures: int = 40) -> Path:
    """Write a captions file in COCO's layout: two captions to a picture, of one of two kinds."""
    texts = ("the dog barks at a car", "two men in a boat are fishing")
    notes = [
        {"image_id": i, "id": 2 * i + k, "caption": f"{texts[i % 2]} here {chr(97 + i % 26)}{' now' * k}"}
        for i in range(pictures)
        for k in (0, 1)
    ]
    path = folder / "captions.json"
    path.write_text(json.dumps({"images": [], "annotations": notes}))
    return path


def test_no_picture_of_the_table_has_a_caption_to_learn_from(tmp_path):
    found = read_captions(captions_file(tmp_path), captions=50, pictures=10, seed=0)
    assert len(found.texts) == 50 and len(found.pictures) == 10
    assert read_captions(captions_file(tmp_path), captions=50, pictures=10, seed=1) != found
    every = read_captions(captions_file(tmp_path), captions=999, pictures=10, seed=0)
    assert len(every.texts) == 60 and all(len(p) == 2 for p in every.pictures)
    with pytest.raises(DataError, match="lower --vokens"):
        read_captions(captions_file(tmp_path), captions=5, pictures=40, seed=0)


def test_the_table_is_the_user_s_vectors_or_a_stand_in(tmp_path):
    found = read_captions(captions_file(tmp_path), captions=50, pictures=10, seed=0)
    stand_in = voken_table(Letters(), found, None)
    assert stand_in.stand_in and stand_in.vectors.shape == (10, 26)
    np.save(tmp_path / "vectors.npy", np.eye(26))
    assert not voken_table(Letters(), found, tmp_path).stand_in
    np.save(tmp_path / "vectors.npy", np.eye(5))
    with pytest.raises(DataError, match=r"needs \(V, 26\)"):
        voken_table(Letters(), found, tmp_path)
    with pytest.raises(DataError, match="vectors.npy is not there"):
        voken_table(Letters(), found, tmp_path / "none")


RECIPE = Recipe(epochs=6, batch_size=8, rate=5e-3, max_length=24)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voken")
    params = save_checkpoint("bert", folder / "bert")
    captions = read_captions(captions_file(folder), captions=40, pictures=8, seed=0)
    return params, captions, voken_table(Letters(), captions, None)


def test_vokens_are_learned_with_them_and_not_without(prepared):
    params, captions, table = prepared
    tokenizer = load_tokenizer(params)
    corpus = corpus_of(captions, Letters(), table, tokenizer, 24)
    assert corpus.vokens.max() < 8 and (corpus.vokens >= 0).mean() > 0.5
    losses = {
        vokens: pretrain(params, corpus, tokenizer, RECIPE, seed=0, vokens=vokens).losses
        for vokens in (True, False)
    }
    assert losses[True]["voken"][1] < 0.6 * losses[True]["voken"][0]
    assert losses[False]["voken"][1] > 0.9 * losses[False]["voken"][0]
    for found in losses.values():
        assert found["mlm"][1] < found["mlm"][0]


def test_the_voken_head_is_the_released_one():
    head = VokenHead(32, VOKENS)
    shapes = {tuple(p.shape) for p in head.parameters()}
    assert shapes == {(32, 32), (32,), (VOKENS, 32), (VOKENS,)}
    assert [type(m).__name__ for m in head.transform] == ["Linear", "GELU", "LayerNorm"]


def test_both_folders_are_backbones_and_differ_by_the_vokens_alone(prepared, tmp_path):
    params, captions, table = prepared
    short = Recipe(epochs=1, batch_size=8, rate=5e-3, max_length=24)
    folders = pretrain_and_save(params, captions, Letters(), table, tmp_path, recipe=short, seed=0)
    cards = {name: json.loads((folder / "voken.json").read_text()) for name, folder in folders.items()}
    assert cards["vokens"]["vokens"] == 8 and cards["control"]["vokens"] == 0
    assert cards["vokens"]["steps"] == cards["control"]["steps"] == 5
    assert "stand in" in cards["vokens"]["table"]
    weights = {}
    for name, folder in folders.items():
        loaded = load_params(
            "looks",
            profile="smoke",
            backbone=str(folder / "backbone.yaml"),
            overlays=("methods/prompt",),
            overrides=("prompt.mlm={first: '{a}', second: 'it is [MASK] here', words: [a, r]}",),
        )
        model = assemble(loaded).model
        weights[name] = model.backbone.words.weight  # type: ignore[union-attr]
        assert not weights[name].equal(Backbone(params).words.weight)
    assert not weights["vokens"].equal(weights["control"])
    again = pretrain_and_save(params, captions, Letters(), table, tmp_path / "again", recipe=short, seed=0)
    for name in folders:
        one, two = ((f[name] / "model.safetensors").read_bytes() for f in (folders, again))
        assert one == two


def test_the_command_writes_both_backbones(tmp_path):
    from typer.testing import CliRunner

    from flows.cli import app

    arguments = [
        "voken",
        "pretrain",
        "--captions",
        str(captions_file(tmp_path)),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    arguments += ["--backbone", str(tiny_yaml(tmp_path)), "--captions-used", "16", "--vokens", "8"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    paths = json.loads(result.stdout)
    assert set(paths) == {"vokens", "control"} and all(Path(p).is_file() for p in paths.values())


def tiny_yaml(folder: Path) -> Path:
    params = save_checkpoint("bert", folder / "tiny")
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(params.model_dump(include={"name", "source", "ref", "pooling"})))
    return path
