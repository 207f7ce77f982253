"""Params of baselines: prompts, the fusion head of iACE, the words of VAWI, image retrieval."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mase.params.base import Frozen, Name, Positive, Share
from mase.params.task import MASK

FIRST, SECOND, LABEL = "{a}", "{b}", "{label}"  # markers of a prompt: the row's texts, a label's words


class PromptTemplate(Frozen):
    """A row rewritten so that a pre-trained head can answer it.

    Each segment holds literal text and at most one of the row's texts, so that the row can be read
    back out of it.
    """

    first: Name = Field(description="segment A, with {a} or {b} for a text of the row")
    second: Name | None = Field(default=None, description="segment B")
    words: tuple[Name, ...] = Field(
        description="what stands for each label, in the task's order; of a score, for its lowest and highest"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "PromptTemplate":
        whole = [self.first, self.second or ""]
        if sum(part.count(FIRST) for part in whole) != 1 or sum(part.count(SECOND) for part in whole) > 1:
            raise ValueError("a template holds {a} once, and {b} once or not at all")
        if any(part.count(FIRST) + part.count(SECOND) > 1 for part in whole):
            raise ValueError("a segment holds one of {a} and {b}; put the other into the other segment")
        if self.pairs and FIRST not in self.first:
            raise ValueError("of a pair {a} belongs into the first segment, {b} into the second")
        if sum(part.count(MASK) + part.count(LABEL) for part in whole) != 1:
            raise ValueError(f"a template holds one blank: {MASK} for a cloze, {LABEL} for nsp")
        if len(set(self.words)) != len(self.words) or len(self.words) < 2:
            raise ValueError("words: two or more different ones")
        return self

    @property
    def pairs(self) -> bool:
        """Return whether it is for pairs of texts."""
        return SECOND in self.first + (self.second or "")


class PromptParams(Frozen):
    """The prompts of a task, by the head that answers them (`params/prompts/<task>.yaml`)."""

    nsp: PromptTemplate | None = Field(default=None, description="for head.kind: nsp; {label} is the blank")
    mlm: PromptTemplate | None = Field(default=None, description="for head.kind: mlm; [MASK] is the blank")

    @model_validator(mode="after")
    def _blanks(self) -> "PromptParams":
        for kind, blank in (("nsp", LABEL), ("mlm", MASK)):
            template = self.of(kind)
            if template is not None and blank not in template.first + (template.second or ""):
                raise ValueError(f"{kind}: its blank is {blank}")
        return self

    def of(self, kind: str) -> PromptTemplate | None:
        """Return the template for a kind of head, if there is one."""
        return {"nsp": self.nsp, "mlm": self.mlm}.get(kind)


class IaceParams(Frozen):
    """The fusion head of iACE, and the features of its images."""

    features: str | None = Field(
        default=None,
        description="npz file of image features by sentence (texts, features); null: the image tower's "
        "proxies stand in",
    )
    hidden: Positive = Field(default=512, description="width of both layers")
    dropout: Share = 0.1
    tanh: bool = Field(default=True, description="squash the fusion head's logits, as the released code does")
    alternate: Literal["epochs", "never"] = Field(
        default="epochs", description="epochs: even ones train the fusion head, odd ones the language model"
    )


class VawiParams(Frozen):
    """VAWI: which words are looked up, and what trains."""

    selector: Literal["syntax", "attention", "learned"] = Field(
        default="syntax",
        description="syntax: nouns and adjectives; attention: of the image tower's end of text; learned: by "
        "the backbone's token states",
    )
    words: Positive = Field(default=8, description="k, the most words of a text")
    train: Literal["all", "reformulation"] = Field(
        default="all", description="reformulation: the language model is frozen"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(default=1.0, description="of the learned selector")


class RetrievalParams(Frozen):
    """Nearest images of a text (`TowerParams.format: retrieval`)."""

    images: str = Field(
        description="folder of image files, or NAME.npy of their features with NAME.names.txt beside it"
    )
    neighbours: Positive = Field(default=5, description="k, whose mean is the proxy")
    search: Literal["exact", "approximate"] = Field(
        default="exact", description="approximate needs the package faiss-cpu"
    )
