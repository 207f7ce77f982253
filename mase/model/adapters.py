"""Parameter-efficient tuning of a backbone, with PEFT's modules: LoRA and soft prompts.

The backbone's own weights are frozen; what trains is the adapter and the modules beside the
backbone. An adapter is new, so it learns at `training.lr_new`.

LoRA (Hu et al., 2022) replaces W by W + (alpha / rank) B A in the attention projections, with B
starting at zero: the first output is the backbone's. With `freeze_layers` only the layers above
the cut are adapted, and the output of those below can still be kept.

A soft prompt (Lester et al., 2021) stands before the tokens as vectors that train, drawn at first
from the vocabulary's embeddings. Its states are dropped from the output, so pooling and the
scene graph's nodes find every token where it was.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from mase.errors import ParamsError
from mase.params import BackboneParams

# Where PEFT has no choice of its own. XLNet's attention projections are bare parameters, which
# cannot be wrapped; its feed-forward layers can.
LORA_TARGETS = {
    "albert": ["query", "value"],
    "distilbert": ["q_lin", "v_lin"],
    "modernbert": ["Wqkv"],
    "xlnet": ["layer_1", "layer_2"],
    "camembert": ["query", "value"],
}


def is_adapter(name: str) -> bool:
    """Return whether a parameter of this name (of a model or a backbone) belongs to an adapter."""
    return any(part in ("lora_A", "lora_B", "prompt") for part in name.split("."))


def lora_targets(family: str) -> list[str]:
    """Return the names of the linear layers that LoRA adapts: PEFT's choice, or `LORA_TARGETS`.

    Raises:
        ParamsError: if neither knows the family.
    """
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as CHOSEN_BY_PEFT

    targets = CHOSEN_BY_PEFT.get(family) or LORA_TARGETS.get(family)
    if targets is None:
        raise ParamsError(
            f"backbone.adapter: which layers of model type {family!r} LoRA adapts is not known; "
            "set it to none or prompt"
        )
    return list(targets)


def add_lora(encoder: PreTrainedModel, params: BackboneParams) -> None:
    """Freeze the encoder and put LoRA into its layers, in place.

    The first weights are drawn without moving the global generator, so that what is built after
    the backbone starts as it would without an adapter.

    Raises:
        ParamsError: if it is not known which layers to adapt.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=params.lora_rank,
        lora_alpha=params.lora_alpha,
        lora_dropout=params.lora_dropout,
        target_modules=lora_targets(encoder.config.model_type),
    )
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, encoder)


class SoftPrompt(nn.Module):
    """P vectors that train, put before the tokens' embeddings.

    They stand directly before the first real token on either padding side, so that no state
    depends on how far a row is padded. Their segment type is 0.

    Args:
        words: the backbone's word embeddings; P of them, drawn at random, are the first vectors.
        tokens: P.
    """

    def __init__(self, words: nn.Embedding, tokens: int):
        from peft import PromptEmbedding, PromptTuningConfig, PromptTuningInit, TaskType

        super().__init__()
        config = PromptTuningConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=tokens,
            token_dim=words.embedding_dim,
            num_transformer_submodules=1,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        )
        self.tokens = tokens
        with torch.random.fork_rng(devices=[]):
            self.embedding: nn.Embedding = PromptEmbedding(config, words).embedding

    def forward(
        self, embedded: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"], types: Int[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B K W"], Bool[Tensor, "B K"], Int[Tensor, "B K"]]:
        """Return embeddings, mask and types with the prompt, K = P + L; the tokens are the last L."""
        rows = len(embedded)
        prompt = self.embedding.weight.to(embedded.dtype).expand(rows, -1, -1)
        longer = torch.cat([prompt, embedded], dim=1)
        mask = torch.cat([mask.new_ones(rows, self.tokens), mask], dim=1)
        types = torch.cat([types.new_zeros(rows, self.tokens), types], dim=1)
        order = self._order(mask)
        longer = longer.gather(1, order.unsqueeze(-1).expand_as(longer))
        return longer, mask.gather(1, order), types.gather(1, order)

    def _order(self, mask: Bool[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """Return the order of columns that moves padding on the left before the prompt."""
        padded_left = ~mask[:, self.tokens : self.tokens + 1]
        return (mask | ~padded_left).int().argsort(dim=1, stable=True)
