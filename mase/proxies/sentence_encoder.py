"""A sentence encoder as a proxy: the control for "any second encoder would do".

A frozen Hugging Face encoder with masked mean pooling (Reimers and Gurevych 2019),
float32, not normalised.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies.tower import BatchedTower, TokenIds, cut_rows


def _check_config(folder: Path, params: TowerParams) -> None:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise CheckpointFormatError(f"{path}: no readable config of an encoder: {cause}") from cause
    expected = {
        "hidden_size": params.width,
        "num_hidden_layers": params.layers,
        "num_attention_heads": params.heads,
        "vocab_size": params.vocabulary,
    }
    for key, value in expected.items():
        if config.get(key) != value:
            raise CheckpointFormatError(
                f"{path}: {key} is {config.get(key)!r}, but the tower {params.name} asks for {value}"
            )
    if params.output_width != params.width:
        raise CheckpointFormatError(
            f"tower {params.name}: mean pooling gives width {params.width}, "
            f"not output_width {params.output_width}"
        )
    if params.context_length > config.get("max_position_embeddings", params.context_length):
        raise CheckpointFormatError(
            f"{path}: max_position_embeddings is below the tower's context_length {params.context_length}"
        )


class SentenceEncoderTower(BatchedTower):
    """A frozen encoder in a folder of Hugging Face files (safetensors only).

    Raises:
        CheckpointFormatError: if the folder's config has other sizes than the params.
    """

    def __init__(self, params: TowerParams, folder: Path) -> None:
        super().__init__(
            name=params.name,
            modality=params.modality,
            width=params.output_width,
            context_length=params.context_length,
        )
        from transformers import AutoModel, AutoTokenizer

        _check_config(folder, params)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.module = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.module.requires_grad_(False).eval().to(self.device)
        self._vocabulary = (folder / "tokenizer.json").read_text(encoding="utf-8")

    def tokenise(self, texts: Sequence[str]) -> TokenIds:
        """Return the token ids of each text, special tokens included, cut to the context length."""
        return cut_rows(self._tokenizer, texts, self.context_length)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the masked mean of the last states, (texts, width)."""
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()  # (B, L)
        states = self.module(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, L, W)
        return (states * mask[..., None]).sum(dim=1) / lengths[:, None]

    def weights(self) -> Mapping[str, Tensor]:
        """Return every parameter and buffer by name."""
        return self.module.state_dict()

    def settings(self) -> Mapping[str, Any]:
        """Return the pooling, the context length and the tokenizer, which weights do not say."""
        config = self.module.config.to_dict()
        return {
            "architecture": config["model_type"],
            "heads": config["num_attention_heads"],
            "activation": config.get("hidden_act"),
            "pooling": "mean",
            "context_length": self.context_length,
            "tokenizer": self._vocabulary,
        }
