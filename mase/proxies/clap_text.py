"""The text tower of CLAP (Wu et al. 2023): RoBERTa, pooled at its first token, and a two-layer projection.

It is no CLIP text transformer (bidirectional, post-LN, another tokenizer), so
`ClapTextModelWithProjection` of Hugging Face runs it. A folder holds it:
`model.safetensors` of a `ClapModel` or of its text part alone, `config.json`, and the tokenizer's files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies.tower import BatchedTower, TokenIds, cut_rows

WEIGHTS = "model.safetensors"
FILES = ("config.json", "tokenizer.json", WEIGHTS)
NOT_TEXT = ("audio_model.", "audio_projection.", "logit_scale_")


class ClapTextTower(BatchedTower):
    """A frozen CLAP text tower.

    Args:
        params: width, layers, heads, output_width, vocabulary and context_length of the checkpoint.
        folder: its files.

    Raises:
        CheckpointFormatError: naming the folder and what is missing or has another size.
    """

    def __init__(self, params: TowerParams, folder: Path) -> None:
        super().__init__(
            name=params.name,
            modality=params.modality,
            width=params.output_width,
            context_length=params.context_length,
        )
        for name in FILES:
            if not (folder / name).is_file():
                raise CheckpointFormatError(
                    f"{folder}: there is no {name}; CLAP is read from {', '.join(FILES)}"
                )
        from transformers import AutoTokenizer

        self.module = _load(folder)
        _check_sizes(self.module.config, params, folder)
        self.module.requires_grad_(False).eval().to(self.device)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def tokenise(self, texts: Sequence[str]) -> TokenIds:
        """Return the token ids of each text, special tokens included, cut to the context length."""
        return cut_rows(self._tokenizer, texts, self.context_length)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (texts, width) projected vectors of a padded batch, not normalised."""
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]  # (B, L)
        padding = self.module.config.pad_token_id  # its place decides the positions of RoBERTa
        filled = ids.masked_fill(~mask, padding)
        return self.module(input_ids=filled, attention_mask=mask.long()).text_embeds

    def weights(self) -> Mapping[str, Tensor]:
        """Return every parameter and buffer by name."""
        return self.module.state_dict()

    def settings(self) -> Mapping[str, Any]:
        """Return what the weights' names and shapes do not say."""
        config = self.module.config
        return {
            "architecture": "clap_text",
            "heads": config.num_attention_heads,
            "activation": config.hidden_act,
            "projection": config.projection_hidden_act,
            "context_length": self.context_length,
            "tokenizer": self._tokenizer.backend_tokenizer.to_str(),
        }


def _load(folder: Path) -> Any:
    from transformers import ClapTextModelWithProjection

    loaded: Any = ClapTextModelWithProjection.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
    )
    module, loading = loaded
    extra = {key for key in loading["unexpected_keys"] if not key.startswith(NOT_TEXT)}
    for kind, keys in (("needs the text key", loading["missing_keys"]), ("has no key", extra)):
        if keys:
            raise CheckpointFormatError(f"{folder / WEIGHTS}: the clap format {kind} {sorted(keys)[0]!r}")
    return module


def _check_sizes(config: Any, params: TowerParams, folder: Path) -> None:
    expected = {
        "hidden_size": params.width,
        "num_hidden_layers": params.layers,
        "num_attention_heads": params.heads,
        "projection_dim": params.output_width,
        "vocab_size": params.vocabulary,
    }
    for key, value in expected.items():
        if getattr(config, key) != value:
            raise CheckpointFormatError(
                f"{folder / 'config.json'}: {key} is {getattr(config, key)}, "
                f"but the tower {params.name} asks for {value}"
            )
    room = config.max_position_embeddings - config.pad_token_id - 1  # positions begin after the padding's id
    if params.context_length > room:
        raise CheckpointFormatError(
            f"{folder / 'config.json'}: there are {room} positions, "
            f"but the tower {params.name} asks for context_length {params.context_length}"
        )
