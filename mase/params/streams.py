"""Params of the baselines that read pictures or none at all: ViLBERT, ConceptBert, the zero-shot ensemble."""

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from mase.params.models import Params

Size = Annotated[int, Field(ge=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
STREAMS = ("vilbert", "conceptbert")  # methods with two streams, of which the question's is MASE's


class VilbertParams(BaseModel):
    """The visual stream and co-attention of ViLBERT; the released model has 6, 1024, 8, 1024, 1024, 8."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Size = Field(
        default=2, description="visual layers, and co-attention layers before the last as many of the text"
    )
    width: Size = Field(default=128, description="of the visual stream")
    heads: Size = Field(default=4, description="of a visual layer; divides width")
    hidden: Size = Field(default=128, description="width inside a visual layer")
    joint: Size = Field(default=128, description="width of co-attention and of the pooled vectors")
    joint_heads: Size = Field(default=4, description="of co-attention; divides joint")
    dropout: Dropout = 0.1
    head_dropout: Dropout = Field(default=0.5, description="of the network that answers")
    checkpoint: str | None = Field(
        default=None, description="file of weights in the released layout; null: all but the text starts new"
    )
    answers: str | None = Field(
        default=None,
        description="JSON list of the checkpoint's answers in order; null: its answer layer is left out",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "VilbertParams":
        for width, heads in (("width", "heads"), ("joint", "joint_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(f"{heads} ({getattr(self, heads)}) does not divide {width}")
        if self.answers is not None and self.checkpoint is None:
            raise ValueError("answers are those of a checkpoint; set checkpoint")
        return self


class ConceptbertParams(BaseModel):
    """The knowledge stream and the trilinear fusion of ConceptBert; the original has 300, 12, 256, 32, 2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vectors: str | None = Field(
        default=None,
        description="file of ConceptNet vectors: a word and its numbers a line (.txt, .gz), or npz",
    )
    vector_width: Size = Field(default=300, description="numbers of a vector")
    layers: Size = Field(default=2, description="of the knowledge transformer")
    width: Size = Field(default=64, description="of the fusion, of each glimpse")
    rank: Size = Field(default=8, description="slices of the fusion's attention; divides width")
    glimpses: Size = 2

    @model_validator(mode="after")
    def _consistent(self) -> "ConceptbertParams":
        if self.width % self.rank:
            raise ValueError(f"rank ({self.rank}) does not divide width ({self.width})")
        return self


class ZeroShotParams(BaseModel):
    """How the language model's word and the image tower's word are weighed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: Annotated[float, Field(ge=0, le=1)] = Field(default=0.5, description="w, of the language model")
    scale: Annotated[float, Field(gt=0)] = Field(
        default=100.0,
        description="cosines are multiplied by it before the softmax, as CLIP's are; 1: as they are",
    )
    images: str | None = Field(
        default=None,
        description="npz file of image vectors of the labels (texts, features; a row per image); null: the "
        "image tower's proxies of the labels stand in",
    )


def check_streams(params: "Params") -> None:
    """Refuse what the baselines of this file cannot be combined with.

    Raises:
        ValueError: if that is asked for.
    """
    method, task = params.method, params.task
    if method == "zero_shot" and params.modalities != ("text", "image"):
        raise ValueError("method zero_shot takes the modalities text and image")
    if method not in STREAMS:
        return
    if "text" not in params.modalities:
        raise ValueError(f"method {method} needs the text modality")
    if task.family == "vqa" and (task.vqa is None or not task.vqa.regions):
        raise ValueError(f"method {method} reads regions, and task {task.name} has none; take vqa_v2_regions")
    if params.head.hidden:
        raise ValueError(f"method {method} has an answering network of its own; head.hidden does not apply")
    if params.backbone.adapter == "prompt":
        raise ValueError(f"method {method} cannot insert soft tokens; set backbone.adapter to lora or none")
    if params.vilbert.checkpoint is not None and params.backbone.freeze_layers:
        raise ValueError(
            "vilbert.checkpoint fills the language model too, so its lower layers are not those that are "
            "kept for other runs; set backbone.freeze_layers to 0"
        )
    if method == "conceptbert" and params.fusion.width is not None:
        raise ValueError("method conceptbert adds MASE to the token states; leave fusion.width null")
