"""Params of what reads texts: the language model and the frozen towers."""

from typing import Literal

from pydantic import Field, model_validator

from mase.modalities import Modality
from mase.params.base import Frozen, Positive, Share
from mase.params.baselines import RetrievalParams


class BackboneParams(Frozen):
    """The pre-trained language model."""

    name: str
    source: Literal["package", "hub", "path", "random"]
    ref: str = Field(description="package name, hub id, folder, or model type for random")
    revision: str | None = None
    pooling: Literal["first", "last", "mean"]
    max_length: Positive = 128
    freeze_layers: int = Field(
        default=0, ge=0, description="embeddings and this many lower layers are frozen and cached"
    )
    random_config: dict[str, int] = Field(
        default={}, description="source: random only, fields of the model's config"
    )
    adapter: Literal["none", "lora", "prompt"] = Field(
        default="none", description="lora, prompt: the model's own weights are frozen, the adapter trains"
    )
    lora_rank: Positive = 8
    lora_alpha: Positive = Field(default=16, description="the update is scaled by alpha / rank")
    lora_dropout: Share = 0.1
    prompt_tokens: Positive = Field(default=20, description="soft tokens before the row, beside max_length")
    layout: Literal["huggingface", "voken"] = Field(
        default="huggingface",
        description="source: path only; voken: a checkpoint as vokenization released it, whose parts that a "
        "backbone does without are named, and anything else refused",
    )
    tokenizer: str | None = Field(
        default=None, description="folder or hub id of the tokenizer, where the checkpoint has none"
    )

    @model_validator(mode="after")
    def _adapter_consistent(self) -> "BackboneParams":
        for name in ("lora_rank", "lora_alpha", "lora_dropout", "prompt_tokens"):
            adapter = name.split("_")[0]
            if self.adapter != adapter and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is set, but adapter is {self.adapter}; set adapter to {adapter}")
        if self.layout != "huggingface" and self.source != "path":
            raise ValueError(
                f"layout: {self.layout} is of a folder; set source to path and ref to the folder"
            )
        if self.adapter == "prompt" and self.freeze_layers:
            raise ValueError(
                "adapter: prompt changes what the lowest layer sees, so no layer's output can be kept; "
                "set freeze_layers to 0"
            )
        return self


class TowerParams(Frozen):
    """A frozen text tower."""

    name: str
    modality: Modality
    format: Literal[
        "open_clip",
        "openai",
        "huggingface",
        "audioclip",
        "clipvip",
        "clap",
        "xclip",
        "random",
        "sentence_encoder",
        "vectors",
        "retrieval",
    ]
    ref: str = Field(description="checkpoint file, open_clip model, or a seed's name for random")
    pretrained: str | None = Field(default=None, description="open_clip only: pretrained tag")
    revision: str | None = Field(default=None, description="of a hub model: commit, tag or branch")
    width: Positive = 512
    layers: Positive = 12
    heads: Positive = 8
    output_width: Positive = 512
    context_length: Positive = 77
    vocabulary: Positive = 49408
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    entity_prompt: str = Field(default="{}", description="template of an entity phrase")
    stand_in: bool = Field(
        default=False, description="true for the embedded towers: say so beside every table"
    )
    note: str = ""
    retrieval: RetrievalParams | None = Field(default=None, description="format: retrieval only")

    @model_validator(mode="after")
    def _consistent(self) -> "TowerParams":
        if (self.format == "retrieval") != (self.retrieval is not None):
            raise ValueError("format: retrieval and the block retrieval (images) go together")
        return self
