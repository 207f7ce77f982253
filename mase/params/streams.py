"""Params of the baselines that read pictures or none at all: ViLBERT, ConceptBert, the zero-shot ensemble."""

from typing import Annotated

from pydantic import Field, model_validator

from mase.params.base import Frozen, Positive, Share

Dropout = Annotated[float, Field(ge=0, lt=1)]
STREAMS = ("vilbert", "conceptbert")  # methods with two streams, of which the question's is MASE's


class VilbertParams(Frozen):
    """The visual stream and co-attention of ViLBERT; the released model has 6, 1024, 8, 1024, 1024, 8."""

    layers: Positive = Field(
        default=2, description="visual layers, and co-attention layers before the last as many of the text"
    )
    width: Positive = Field(default=128, description="of the visual stream")
    heads: Positive = Field(default=4, description="of a visual layer; divides width")
    hidden: Positive = Field(default=128, description="width inside a visual layer")
    joint: Positive = Field(default=128, description="width of co-attention and of the pooled vectors")
    joint_heads: Positive = Field(default=4, description="of co-attention; divides joint")
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


class ConceptbertParams(Frozen):
    """The knowledge stream and the trilinear fusion of ConceptBert; the original has 300, 12, 256, 32, 2."""

    vectors: str | None = Field(
        default=None,
        description="file of ConceptNet vectors: a word and its numbers a line (.txt, .gz), or npz",
    )
    vector_width: Positive = Field(default=300, description="numbers of a vector")
    layers: Positive = Field(default=2, description="of the knowledge transformer")
    width: Positive = Field(default=64, description="of the fusion, of each glimpse")
    rank: Positive = Field(default=8, description="slices of the fusion's attention; divides width")
    glimpses: Positive = 2

    @model_validator(mode="after")
    def _consistent(self) -> "ConceptbertParams":
        if self.width % self.rank:
            raise ValueError(f"rank ({self.rank}) does not divide width ({self.width})")
        return self


class ZeroShotParams(Frozen):
    """How the language model's word and the image tower's word are weighed."""

    weight: Share = Field(default=0.5, description="w, of the language model")
    scale: Annotated[float, Field(gt=0)] = Field(
        default=100.0,
        description="cosines are multiplied by it before the softmax, as CLIP's are; 1: as they are",
    )
    images: str | None = Field(
        default=None,
        description="npz file of image vectors of the labels (texts, features; a row per image); null: the "
        "image tower's proxies of the labels stand in",
    )
