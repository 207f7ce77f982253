"""The decoders' own forward pass against Hugging Face's, and what a backbone gives to its decoder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import torch as safetensors_torch
from transformers import AutoModelForSeq2SeqLM, BertConfig, BertLMHeadModel

from mase.errors import CheckpointFormatError, ParamsError
from mase.model.backbone import Backbone, load_tokenizer
from mase.model.decoder import BertDecoder, T5Decoder, special_ids
from mase.model.decoder_loading import build_decoder
from mase.model.memory import Memory
from mase.params import BackboneParams, GenerationParams

TARGETS = torch.tensor([[5, 9, 4, 2], [7, 2, -100, -100]])
ROWS, LENGTH = 2, 5


@pytest.fixture
def memory() -> Memory:
    torch.manual_seed(1)
    mask = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    mask[0, 3:] = False
    return Memory(torch.randn(ROWS, LENGTH, 32), mask, None)


def test_t5_equals_hugging_face(checkpoint: Callable[[str], BackboneParams], memory: Memory) -> None:
    params = checkpoint("t5")
    whole = AutoModelForSeq2SeqLM.from_pretrained(params.ref).eval()
    decoder = build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False).eval()
    assert isinstance(decoder, T5Decoder)
    assert memory.states is not None and memory.mask is not None
    labels = torch.where(TARGETS == -100, whole.config.pad_token_id, TARGETS)
    expected = whole(
        encoder_outputs=(memory.states,),
        attention_mask=memory.mask.long(),
        decoder_input_ids=torch.cat([decoder.special[:1].expand(ROWS, 1), labels[:, :-1]], dim=1),
    ).logits
    assert torch.allclose(decoder.teacher_forced(TARGETS, memory), expected, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_probabilities_are_those_of_the_target_tokens_and_none_where_there_is_none(
    checkpoint: Callable[[str], BackboneParams], memory: Memory, family: str
) -> None:
    params = checkpoint(family)
    decoder = build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False).eval()
    every = decoder.teacher_forced(TARGETS, memory).log_softmax(-1)
    expected = every.gather(-1, TARGETS.clamp_min(0)[..., None])[..., 0].masked_fill(TARGETS == -100, 0.0)
    assert torch.allclose(decoder.log_probabilities(TARGETS, memory), expected, atol=1e-5)


def test_t5_shares_the_embeddings_of_its_encoder(checkpoint: Callable[[str], BackboneParams]) -> None:
    params = checkpoint("t5")
    backbone = Backbone(params)
    decoder = build_decoder(params, GenerationParams(), backbone, loaded_later=False)
    assert isinstance(decoder, T5Decoder) and decoder.lm_head is None
    assert decoder.stack.embed_tokens is backbone.encoder.get_input_embeddings()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_copied_decoder_equals_hugging_face_with_the_backbones_weights(
    checkpoint: Callable[[str], BackboneParams], memory: Memory, family: str
) -> None:
    params = checkpoint(family)
    backbone = Backbone(params)
    decoder = build_decoder(params, GenerationParams(decoder_layers=3), backbone, loaded_later=False).eval()
    assert isinstance(decoder, BertDecoder) and len(decoder.layers) == 3
    assert memory.states is not None
    own = backbone.encoder.state_dict()
    copied = {
        f"encoder.layer.{k}": v for k, v in decoder.layers.state_dict().items() if "crossattention" not in k
    }
    copied |= {f"embeddings.{k}": v for k, v in decoder.embeddings.state_dict().items()}
    assert all(torch.equal(value, own[key]) for key, value in copied.items()) and copied
    if family == "bert":
        config = BertConfig.from_dict(
            {
                **backbone.config.to_dict(),
                "num_hidden_layers": 3,
                "is_decoder": True,
                "add_cross_attention": True,
            }
        )
        whole = BertLMHeadModel(config).eval()
        states = {f"encoder.layer.{k}": v for k, v in decoder.layers.state_dict().items()}
        states |= {f"embeddings.{k}": v for k, v in decoder.embeddings.state_dict().items()}
        whole.bert.load_state_dict(states)
        ids = torch.tensor([[2, 5, 9, 4], [2, 7, 3, 0]])
        hidden = whole.bert(
            input_ids=ids, encoder_hidden_states=memory.states, encoder_attention_mask=memory.mask
        ).last_hidden_state
        expected = hidden @ decoder.embeddings.word_embeddings.weight.T
        assert torch.allclose(decoder(ids, memory), expected, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "roberta", "t5"])
def test_step_by_step_gives_the_logits_of_whole_sentences(
    checkpoint: Callable[[str], BackboneParams], memory: Memory, family: str
) -> None:
    params = checkpoint(family)
    decoder = build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False).eval()
    ids = torch.tensor([[2, 5, 9, 4], [2, 7, 3, 6]])
    written = decoder.begin(memory)
    steps = [decoder.step(ids[:, :2], written), *(decoder.step(ids[:, t : t + 1], written) for t in (2, 3))]
    assert torch.allclose(torch.cat(steps, dim=1), decoder(ids, memory), atol=1e-4)


def test_later_tokens_are_not_seen(checkpoint: Callable[[str], BackboneParams], memory: Memory) -> None:
    for family in ("bert", "t5"):
        params = checkpoint(family)
        decoder = build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False).eval()
        one, other = torch.tensor([[2, 5, 9, 4]] * 2), torch.tensor([[2, 5, 3, 8]] * 2)
        first, second = decoder(one, memory), decoder(other, memory)
        assert torch.allclose(first[:, :2], second[:, :2], atol=1e-5)
        assert not torch.allclose(first[:, 2:], second[:, 2:], atol=1e-2)


def test_a_frozen_or_adapted_backbone_gives_the_same_copies(
    checkpoint: Callable[[str], BackboneParams],
) -> None:
    params = checkpoint("bert")
    plain, frozen, adapted = (
        build_decoder(p, GenerationParams(), Backbone(p), loaded_later=False)
        for p in (
            params,
            params.model_copy(update={"freeze_layers": 1}),
            params.model_copy(update={"adapter": "lora"}),
        )
    )
    own = {k: v for k, v in plain.state_dict().items() if "crossattention" not in k}
    for decoder in (frozen, adapted):
        assert all(torch.equal(decoder.state_dict()[k], v) for k, v in own.items())
        assert all(p.requires_grad for p in decoder.parameters())


@pytest.mark.parametrize("adapter", ["lora", "prompt"])
def test_an_adapter_freezes_t5s_own_decoder(
    checkpoint: Callable[[str], BackboneParams], adapter: str
) -> None:
    params = checkpoint("t5").model_copy(update={"adapter": adapter})
    decoder = build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False)
    training = [name for name, p in decoder.named_parameters() if p.requires_grad]
    assert all("lora_" in name for name in training)
    assert bool(training) == (adapter == "lora")


def test_what_a_sentence_starts_and_ends_with(checkpoint: Callable[[str], BackboneParams]) -> None:
    for family, names in (("bert", ("[CLS]", "[SEP]", "[PAD]")), ("t5", ("<pad>", "</s>", "<pad>"))):
        tokenizer = load_tokenizer(checkpoint(family))
        assert special_ids(tokenizer) == tuple(map(tokenizer.convert_tokens_to_ids, names))


def test_what_does_not_fit_is_refused(checkpoint: Callable[[str], BackboneParams], tmp_path: Path) -> None:
    bert, xlnet = checkpoint("bert"), checkpoint("xlnet")
    with pytest.raises(ParamsError, match="no decoder goes with 'xlnet'"):
        build_decoder(xlnet, GenerationParams(), Backbone(xlnet), loaded_later=False)
    with pytest.raises(ParamsError, match="decoder_layers: 9, but the backbone has 4"):
        build_decoder(bert, GenerationParams(decoder_layers=9), Backbone(bert), loaded_later=False)
    with pytest.raises(ParamsError, match="max_target_length: 600, but the backbone has 512"):
        build_decoder(bert, GenerationParams(max_target_length=600), Backbone(bert), loaded_later=False)


def test_a_t5_checkpoint_without_a_decoder_is_refused(
    checkpoint: Callable[[str], BackboneParams], tmp_path: Path
) -> None:
    params = checkpoint("t5")
    for file in Path(params.ref).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = safetensors_torch.load_file(tmp_path / "model.safetensors")
    weights = {k: v for k, v in weights.items() if not k.startswith("decoder.")}
    safetensors_torch.save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    params = params.model_copy(update={"ref": str(tmp_path)})
    with pytest.raises(CheckpointFormatError, match=r"lacks \d+ weights of its decoder"):
        build_decoder(params, GenerationParams(), Backbone(params), loaded_later=False)
