"""What training, the E-step and evaluation ask of a model, whatever its method and family.

A model's class also says what it reads of the rows beyond tokens, proxies and graphs; a family
whose answers are not one vector per row has a class of its own (`mase.model.<family>`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.families import family_of
from mase.modalities import Modality
from mase.model.batch import Batch, Part
from mase.model.features import joined
from mase.model.heads import Head
from mase.model.placebo import donors
from mase.params import Params, TaskParams

if TYPE_CHECKING:
    from mase.model.graph_nodes import GraphNodes
    from mase.model.inputs import Inputs
    from mase.model.preparation import Aligned, Fitted, Tables
    from mase.scenegraph import GraphTable


class Extra(Protocol):
    """An input beyond tokens, proxies and graphs, of a whole split."""

    def batch(self, indices: np.ndarray, width: int) -> Part:
        """Return the part of a batch: of the text rows `indices`, padded to `width` tokens."""
        ...


@dataclass(frozen=True)
class Split:
    """One split as a model sees it, with what targets are made by."""

    rows: Rows
    inputs: "Inputs"
    fitted: "Fitted"
    tokenizer: PreTrainedTokenizerBase | None


@dataclass(frozen=True)
class MaseOutput:
    """What a forward pass knows.

    Attributes:
        logits: (B, C) class logits, or (B, 1) scores; with `m_objective: mixture` the log
            probabilities (or the mean) of the mixture. A family with a model of its own says there
            what it puts here.
        pre, post: (B, M, D) features h^m before and h_hat^m after the graph; in multiple choice these and
            `contrastive` have a row per choice, all else a row per question.
        contrastive: (B, M, Dc) what Eq. 8 compares.
        modality_logits: (B, M, C) p(y | h_hat^m) per modality; mixture objective only.
        gate: (B, M) log g_m(x), the prior z moved by the gate; mixture objective only.
    """

    logits: Float[Tensor, "B *C"]
    pre: Float[Tensor, "B *L M D"]
    post: Float[Tensor, "B *L M D"]
    contrastive: Float[Tensor, "B M Dc"]
    modality_logits: Float[Tensor, "B M C"] | None = None
    gate: Float[Tensor, "B M"] | None = None


class TaskModel(nn.Module, ABC):
    """A model of one task.

    Attributes:
        task: what it answers.
        modalities: M of them, in order.
        allocation: (M,) the stored z.
        head: gives the answers.
        pretrained: what the names of parameters start with that learn at `training.lr_backbone`.
    """

    task: TaskParams
    modalities: tuple[Modality, ...]
    allocation: Tensor
    head: nn.Module
    has_backbone: ClassVar[bool] = True
    of_every_method: ClassVar[frozenset[str]] = frozenset()  # parts that text alone has too
    pretrained: tuple[str, ...] = ("backbone.",)

    @classmethod
    @abstractmethod
    def build(cls, params: Params, fitted: "Fitted", architecture: Path | None) -> "TaskModel":
        """Return a model with first weights; `architecture` is the folder of a saved backbone config."""
        ...

    @classmethod
    def rows(cls, params: Params, rows: Rows, tokenizer: PreTrainedTokenizerBase | None) -> Rows:
        """Return the rows as the model sees them, such as the windows of long texts."""
        return rows

    @classmethod
    def for_towers(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows with the texts that the towers read instead, one for one."""
        return rows

    @classmethod
    def for_parser(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows with the texts that scene graphs are made of, every character in its place."""
        return rows

    @classmethod
    def for_negatives(cls, params: Params, rows: Rows) -> Rows:
        """Return the rows with the texts that tell duplicates of Eq. 8, one for one."""
        return rows

    @classmethod
    def texts(cls, params: Params, rows: Rows) -> list[str]:
        """Return texts that the towers must encode beside those of the rows."""
        return []

    @classmethod
    def proxy_rows(cls, params: Params, rows: Rows) -> Int[np.ndarray, "n"]:
        """Return the row whose sentence proxies each row has: its own, or in the placebo another's."""
        return donors(params, rows, "rows", len(rows))

    @classmethod
    def node_sentences(
        cls, params: Params, rows: Rows, graphs: "GraphTable", nodes: "GraphNodes"
    ) -> tuple[list[str], Int[np.ndarray, "N"]]:
        """Return texts, and which of them each node has the vector of with `entity_proxy: sentence`.

        It is the row's text that the node stands in, or both joined; in the placebo, that of `proxy_rows`.
        """
        read = cls.for_towers(params, rows)
        first, second = read.texts_a, read.texts_a if read.texts_b is None else read.texts_b
        if read.texts_b is not None and params.proxies.pair_mode == "joined":
            first = second = tuple(joined(a, b) for a, b in zip(first, second, strict=True))
        row = rows.text_rows(cls.proxy_rows(params, rows))
        instance = np.repeat(np.arange(len(row)), np.diff(nodes.pointer))
        return [*first, *second], row[instance] + len(first) * nodes.sentence

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return inputs beyond tokens, proxies and graphs, by their name in `Batch.extras`."""
        return {}

    @classmethod
    def targets(cls, params: Params, split: Split) -> Tensor:
        """Return what losses and the E-step take as labels, (n, ...) beside the rows that the model sees."""
        return torch.from_numpy(split.rows.labels)

    def begin_epoch(self, epoch: int) -> None:
        """Take note that the training batches that follow are of this epoch, counted from 0."""

    def task_loss(self, output: MaseOutput, labels: Tensor) -> Float[Tensor, ""]:
        """Return L_task (Eq. 7) of a batch."""
        return family_of(self.task).loss(output.logits, labels, self.head)

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return what predictions are made from, a row per example of the batch; no labels."""
        return {"logits": self(batch).logits.float()}


def task_head(params: Params, fitted: "Fitted", width: int) -> Head:
    """Return the task's head on features of this width."""
    outputs = family_of(params.task).outputs(params.task, fitted.labels)
    return Head(
        width, outputs, params.head, fitted.label_mean, fitted.label_deviation, options=params.task.options
    )
