"""Prompt learning: the row is rewritten so that the backbone's own pre-trained head can answer it.

    head.kind: nsp  NSP-BERT (Sun et al. 2022): per label y the sentence A = template(y), the text as B;
                    the score of y is BERT's next-sentence score of (A, B). RoBERTa has no such head.
    head.kind: mlm  a cloze with a verbaliser (Schick and Schuetze 2021; Gao et al. 2021): the template has
                    a blank, the score of y is the masked-word head's logit of y's word. Not NSP-BERT.
    backbone.adapter: prompt  soft prompts (Lester et al. 2021), which go with either, or with a linear head;
                    then the language model and its pre-trained head are frozen. Not NSP-BERT either.

Templates and words are in `params/prompts/<task>.yaml`, the heads in `mase.model.prompt_head`.

Reading of the paper: "prompt learning [36]" is NSP-BERT, yet Table 6 has it with RoBERTa, with pairs and
with STS-B, none of which it does. So RoBERTa takes the cloze; of a pair the label's word stands at the
start of segment B, between the texts; a score is interpolated between two words. In MPB + prompt and
MASE + prompt the pre-trained head stands on the fused state instead of a linear layer; towers, parser and
duplicates of Eq. 8 see the row's texts without the template. NSP-BERT trains a binary target per
(text, label); here, as for every row, the softmax over the labels' scores, which ranks them alike.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mase.baselines.mpb import MultimodalProxyBaseline
from mase.data import Rows
from mase.errors import DataError, ParamsError
from mase.model.backbone import pool
from mase.model.batch import Batch
from mase.model.mase import MaseModel
from mase.model.prompt_head import PromptHead
from mase.model.task_model import TaskModel
from mase.params import Params, PromptTemplate, available
from mase.params.baselines import FIRST, LABEL, SECOND
from mase.params.combinations import PROMPTED
from mase.params.task import MASK


@dataclass(frozen=True)
class Segment:
    """One segment of a prompt: literal text around a text of the row (`slot` "a" or "b"), or alone."""

    before: str
    slot: str | None = None
    after: str = ""

    @classmethod
    def of(cls, template: str) -> "Segment":
        """Return what a template's segment says."""
        for slot, marker in (("a", FIRST), ("b", SECOND)):
            if marker in template:
                before, after = template.split(marker)
                return cls(before, slot, after)
        return cls(template)

    def fill(self, text: str) -> str:
        """Return the segment with a text of the row; `[MASK]` in it is no blank."""
        if self.slot is None:
            return self.before
        return self.before + text.replace(MASK, MASK.lower()) + self.after

    def text(self, filled: str) -> str:
        """Return the text of the row."""
        return filled[len(self.before) : len(filled) - len(self.after)]

    def blanked(self, filled: str) -> str:
        """Return the segment with white space for all but the row's text, every character in its place."""
        if self.slot is None:
            return " " * len(filled)
        return " " * len(self.before) + self.text(filled) + " " * len(self.after)


def prompts(template: PromptTemplate) -> list[tuple[Segment, Segment | None]]:
    """Return both segments of each text row of an example: a row per label for NSP, one for a cloze."""
    first, second = template.first, template.second
    words = template.words if LABEL in first + (second or "") else ("",)
    return [
        (
            Segment.of(first.replace(LABEL, word)),
            None if second is None else Segment.of(second.replace(LABEL, word)),
        )
        for word in words
    ]


def rewrite(template: PromptTemplate, rows: Rows) -> Rows:
    """Return rows with their prompts.

    Raises:
        ParamsError: if the template is for pairs and the rows are not, or the other way round.
    """
    if template.pairs != (rows.texts_b is not None) or rows.options > 1:
        is_for, are = ("pairs", "single texts") if template.pairs else ("single texts", "pairs")
        raise ParamsError(f"the prompt is for {is_for}, but the task's rows are {are}")
    found = prompts(template)
    first, second = [], []
    for texts in rows.pairs():
        of = dict(zip("ab", texts, strict=False))
        for a, b in found:
            first.append(a.fill(of.get(a.slot or "", "")))
            second.append(None if b is None else b.fill(of.get(b.slot or "", "")))
    return replace(
        rows,
        texts_a=tuple(first),
        texts_b=None if template.second is None else tuple(second),
        options=len(found),
    )


def restored(template: PromptTemplate, rows: Rows) -> Rows:
    """Return rewritten rows with the row's own texts, once per text row."""
    texts: dict[str, list[str]] = {"a": [], "b": []}
    for segment, filled in _filled(template, rows):
        if segment.slot is not None:
            texts[segment.slot].append(segment.text(filled))
    return replace(rows, texts_a=tuple(texts["a"]), texts_b=tuple(texts["b"]) if template.pairs else None)


def blanked(template: PromptTemplate, rows: Rows) -> Rows:
    """Return rewritten rows with white space for the template."""
    found = [segment.blanked(filled) for segment, filled in _filled(template, rows)]
    if rows.texts_b is None:
        return replace(rows, texts_a=tuple(found))
    return replace(rows, texts_a=tuple(found[::2]), texts_b=tuple(found[1::2]))


def _filled(template: PromptTemplate, rows: Rows) -> list[tuple[Segment, str]]:
    """Return each segment of each text row with its text, row by row."""
    found, result = prompts(template), []
    for index, first in enumerate(rows.texts_a):
        a, b = found[index % len(found)]
        result.append((a, first))
        if b is not None and rows.texts_b is not None:
            result.append((b, rows.texts_b[index]))
    return result


def check_prompt(params: Params) -> None:
    """Refuse a task that a prompt cannot be answered for, or that has none.

    Raises:
        ParamsError: if it is one.
    """
    kind, task = params.head.kind, params.task
    if task.family not in PROMPTED:
        raise ParamsError(f"head.kind: {kind} cannot do {task.name}, a {task.family} task; set it to linear")
    if params.prompt is None or params.prompt.of(kind) is None:
        raise ParamsError(
            f"head.kind is {kind}, but task {task.name} has no prompt; add params/prompts/{task.name}.yaml "
            f"or set prompt.{kind}; there is: {', '.join(available('prompts'))}"
        )


def template_of(params: Params) -> PromptTemplate:
    """Return the template of a run."""
    template = None if params.prompt is None else params.prompt.of(params.head.kind)
    assert template is not None  # `check_prompt`
    return template


class PromptReading(TaskModel):
    """How rows become prompts, and which token state is h^text, whatever is between."""

    pretrained: tuple[str, ...] = ("backbone.", "head.pretrained.")

    @classmethod
    def rows(cls, params: Params, rows: Rows, tokenizer: PreTrainedTokenizerBase | None) -> Rows:
        """Return the rows as prompts."""
        return rewrite(template_of(params), rows)

    @classmethod
    def for_towers(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows' own texts."""
        return restored(template_of(params), rows)

    @classmethod
    def for_negatives(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows' own texts: prompts of one label are no duplicates."""
        return restored(template_of(params), rows)

    @classmethod
    def for_parser(cls, params: Params, rows: Rows) -> Rows:
        """Return the prompts with white space for the template."""
        return blanked(template_of(params), rows)

    def prompted_state(self, states: Float[Tensor, "B L W"], batch: Batch) -> Float[Tensor, "B W"]:
        """Return the state that the pre-trained head reads: the first (nsp), or the blank's (mlm).

        Raises:
            DataError: if the blank of a row was cut off.
        """
        assert batch.ids is not None and batch.mask is not None and isinstance(self.head, PromptHead)
        if self.head.kind == "nsp":
            return pool(states, batch.mask, "first")
        found = batch.ids == self.head.blank
        if not bool(found.any(1).all()):
            raise DataError(
                "a text is so long that its prompt's blank was cut off; raise backbone.max_length, or put "
                "the blank at the start of the template's second segment"
            )
        return states[torch.arange(len(states), device=states.device), found.int().argmax(1)]


class PromptedMase(PromptReading, MaseModel):
    """MASE + prompt learning; with the text modality alone, prompt learning."""

    def read(self, batch: Batch) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return the backbone's token states, and the one that the head reads."""
        states, _ = super().read(batch)
        return states, self.prompted_state(states, batch)


class PromptedProxyBaseline(PromptReading, MultimodalProxyBaseline):
    """MPB + prompt learning."""

    def read(self, batch: Batch) -> tuple[Float[Tensor, "B L W"], Float[Tensor, "B W"]]:
        """Return the backbone's token states, and the one that the head reads."""
        states, _ = super().read(batch)
        return states, self.prompted_state(states, batch)
