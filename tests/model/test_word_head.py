"""The head for hidden words is the checkpoint's own, tied to the backbone's embeddings."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

from mase.model.backbone import Backbone, load_tokenizer
from mase.model.word_head import NewWordHead, WordHead, log_probabilities
from mase.params import BackboneParams
from tests.tiny_backbones import FAMILIES

Checkpoint = Callable[[str], BackboneParams]
WITH_HEAD = [family for family in FAMILIES if family not in ("t5", "xlnet")]


def with_head(params: BackboneParams, folder: Path) -> tuple[BackboneParams, torch.nn.Module]:
    """Save a checkpoint that has a head for hidden words, far from its first weights."""
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(params.ref)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    load_tokenizer(params).save_pretrained(folder)
    return params.model_copy(update={"ref": str(folder)}), model


@pytest.mark.parametrize(
    ("family", "frozen"),
    [*((family, 0) for family in WITH_HEAD), *((family, 2) for family in WITH_HEAD if family != "albert")],
)
def test_backbone_and_head_give_the_masked_language_model(
    family: str, frozen: int, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    params, whole = with_head(checkpoint(family), tmp_path)
    backbone = Backbone(params.model_copy(update={"freeze_layers": frozen})).eval()
    head = WordHead(backbone.width, backbone).eval()
    ids = torch.randint(5, 40, (2, 7))
    mask = torch.ones_like(ids, dtype=torch.bool)
    states, _ = backbone(ids, mask, torch.zeros_like(ids))
    expected = whole(input_ids=ids, attention_mask=mask.long()).logits
    assert torch.allclose(head(states), expected, atol=1e-4)
    assert torch.allclose(head(states[1, 3:5]), expected[1, 3:5], atol=1e-4)
    names = dict(head.named_parameters())
    tied = [name for name, parameter in names.items() if parameter is backbone.words.weight]
    assert len(tied) == 1 and names[tied[0]].requires_grad == (frozen == 0)


def test_a_checkpoint_without_a_head_gets_a_new_one_that_its_embeddings_close(checkpoint: Checkpoint) -> None:
    backbone = Backbone(checkpoint("bert"))  # saved as a bare encoder
    torch.manual_seed(0)
    head = WordHead(backbone.width, backbone)
    output = head.words.model.get_output_embeddings()  # type: ignore[union-attr]
    assert output.weight is backbone.words.weight and not output.bias.any()
    torch.manual_seed(0)
    assert torch.equal(WordHead(backbone.width, backbone)(torch.ones(1, 32)), head(torch.ones(1, 32)))
    torch.manual_seed(1)
    assert not torch.equal(WordHead(backbone.width, backbone)(torch.ones(1, 32)), head(torch.ones(1, 32)))


def test_a_family_without_such_a_model_gets_one_of_the_same_form(checkpoint: Checkpoint) -> None:
    backbone = Backbone(checkpoint("xlnet"))
    head = WordHead(backbone.width, backbone)
    assert isinstance(head.words, NewWordHead)
    head(torch.randn(3, backbone.width)).square().mean().backward()
    assert backbone.words.weight.grad is not None and backbone.words.weight.grad.any()


def test_a_wider_input_starts_at_the_language_model(checkpoint: Checkpoint) -> None:
    backbone = Backbone(checkpoint("bert"))
    torch.manual_seed(0)
    narrow = WordHead(backbone.width, backbone).eval()
    torch.manual_seed(0)
    wide = WordHead(backbone.width + 6, backbone).eval()
    state, proxy = torch.randn(4, backbone.width), torch.randn(4, 6)
    assert torch.allclose(wide(torch.cat([state, proxy], 1)), narrow(state))
    wide(torch.cat([state, proxy], 1)).square().sum().backward()
    assert wide.enter.weight.grad[:, backbone.width :].any()  # type: ignore[union-attr]


def test_log_probabilities_of_some_words() -> None:
    logits = torch.randn(3, 9)
    expected = logits.log_softmax(1)
    ids = torch.tensor([[0, 8], [3, 3], [1, 2]])
    assert torch.allclose(log_probabilities(logits, ids), expected.gather(1, ids))
    assert torch.allclose(log_probabilities(logits, ids[:, 0]), expected[torch.arange(3), ids[:, 0]])
