"""MASE where the answer is a span of a context: features, graph and weighted sum token by token.

A row is a window (`mase.model.windows`). The head gives every token two numbers, how well the answer
begins and ends there; the first token stands for "no answer".

Reading of the paper: a vector that is added to all tokens of a row moves all their scores alike, and
the softmax over them not at all. So h^m of a token is made from the proxy of the question times, number
by number, the proxy of the sentence that the token is in (question and special tokens: of the question
alone), and a scene graph node is read out to the tokens of its words. z and the gates are those of Eq. 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.modalities import Modality
from mase.model.batch import Batch, GraphBatch
from mase.model.mase import MaseModel
from mase.model.mssg import mean_by
from mase.model.span_inputs import (
    NULL,
    SpanBatch,
    node_sentences,
    question_rows,
    sentences,
    span_inputs,
    span_targets,
)
from mase.model.task_model import Extra, MaseOutput, Split, TaskModel
from mase.model.windows import windows
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.graph_nodes import GraphNodes
    from mase.model.preparation import Aligned, Fitted, Tables
    from mase.scenegraph import GraphTable

NAME = "span"  # of the part in `Batch.extras`
OUTSIDE = -1e4  # logit of a position that can be no answer; finite, so that nothing becomes nan
LONGEST_ANSWER = 30  # tokens


@dataclass(frozen=True)
class SpanOutput(MaseOutput):
    """What a forward pass knows: `logits` (B, 2, P), `pre` and `post` (B, L, M, D), and where things are.

    P is `backbone.max_length`; a position that is neither context nor `NULL` has the logit `OUTSIDE`.
    """

    where: SpanBatch | None = None


class SpanReading(TaskModel):
    """How models of span tasks read rows, and what they predict, whatever is between."""

    params: Params

    @classmethod
    def rows(cls, params: Params, rows: Rows, tokenizer: PreTrainedTokenizerBase | None) -> Rows:
        """Return the windows."""
        assert tokenizer is not None
        return windows(rows, tokenizer, params.backbone.max_length, params.task.doc_stride)

    @classmethod
    def for_towers(cls, params: Params, rows: Rows) -> Rows:
        """Return the questions alone; of the contexts the towers read sentences (`texts`)."""
        return replace(rows, texts_b=None)

    @classmethod
    def texts(cls, params: Params, rows: Rows) -> list[str]:
        """Return the sentences of the windows."""
        return sorted({sentence for text in set(rows.texts_b or ()) for sentence in sentences(text)})

    @classmethod
    def proxy_rows(cls, params: Params, rows: Rows) -> Int[np.ndarray, "n"]:
        """Return a window of the question that each has the proxy of: its own, or the placebo's."""
        return question_rows(params, rows)

    @classmethod
    def node_sentences(
        cls, params: Params, rows: Rows, graphs: "GraphTable", nodes: "GraphNodes"
    ) -> tuple[list[str], Int[np.ndarray, "N"]]:
        """Return the questions and the sentences of contexts, and which of them each node stands in."""
        return node_sentences(params, rows, graphs, nodes)

    @classmethod
    def extras(
        cls, params: Params, fitted: "Fitted", tables: "Tables", rows: Rows, aligned: "Aligned"
    ) -> Mapping[str, Extra]:
        """Return where context and sentences are."""
        return {NAME: span_inputs(params, fitted, tables, rows, aligned)}

    @classmethod
    def targets(cls, params: Params, split: Split) -> Tensor:
        """Return (n, 3): first and last position of the answer, and the size of the context in tokens."""
        return span_targets(split.rows, split.inputs)

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return each window's best span, `start` and `end` in characters, its `score`, and `null`'s."""
        where = part_of(batch)
        first, last, score, null = best_spans(self(batch).logits, where.context, LONGEST_ANSWER)
        row = torch.arange(len(first), device=first.device)
        start, end = where.offsets[row, first, 0], where.offsets[row, last, 1]
        return {"start": start, "end": end, "score": score, "null": null}

    def by_position(self, scores: Float[Tensor, "B L K"], where: SpanBatch) -> Float[Tensor, "B K P"]:
        """Return token scores by position in the row, `OUTSIDE` wherever no answer can be."""
        moved = scores.gather(1, where.column.unsqueeze(-1).expand_as(scores)).movedim(2, 1)
        moved = moved.masked_fill(~possible(where).unsqueeze(1), OUTSIDE)
        return functional.pad(moved, (0, self.params.backbone.max_length - moved.shape[2]), value=OUTSIDE)


class SpanModel(SpanReading, MaseModel):
    """MASE for span tasks."""

    def features(self, batch: Batch) -> tuple[Float[Tensor, "B L M D"], Float[Tensor, "B L M D"]]:
        """Return h^m and h_hat^m of every token."""
        states, _ = self.backbone(batch.ids, batch.mask, batch.types, batch.frozen)
        shape = states.shape[:2]
        pre = self.projection(states.flatten(0, 1), token_proxies(batch))  # (B * L, M, D)
        if self.graph is None or self.residual is None or batch.graph is None:
            return pre.unflatten(0, shape), pre.unflatten(0, shape)
        post = self.residual(pre, *self._readout(states, batch.graph))
        return pre.unflatten(0, shape), post.unflatten(0, shape)

    def _readout(
        self, states: Float[Tensor, "B L W"], graph: GraphBatch
    ) -> tuple[Float[Tensor, "T M D"], Bool[Tensor, "T"]]:
        """Return, of every token, the mean of the nodes that it is a word of, and whether there are any."""
        assert self.graph is not None
        count = states.shape[0] * states.shape[1]
        nodes = self.graph.project(self.graph.nodes(states, graph))  # (N, M, D)
        readout = mean_by(graph.token_position, nodes[graph.token_node].flatten(1), count)
        occupied = torch.zeros(count, dtype=torch.bool, device=states.device)
        occupied[graph.token_position] = True
        return readout.unflatten(1, nodes.shape[1:]), occupied

    def forward(self, batch: Batch) -> SpanOutput:
        """Return the output for a batch, with the stored allocation; labels are not needed.

        Eq. 8 compares the means over a window's context.
        """
        where = part_of(batch)
        pre, post = self.features(batch)
        fused = self.head(self.sum(post.flatten(0, 1), self.allocation)).unflatten(0, post.shape[:2])
        compared = self.compared(context_means(post, where))
        return SpanOutput(self.by_position(fused, where), pre, post, compared, where=where)

    def answers(self, output: MaseOutput, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the E-step judges: log p of the right first and last token, in nats.

        Returns:
            (B, 2) of the fused features, (B, M, 2) of each modality alone before the graph, and after it.
        """
        assert isinstance(output, SpanOutput) and output.where is not None
        pre, post = (self._alone(f, output.where, labels) for f in (output.pre, output.post))
        return log_p_of_answer(output.logits, labels), pre, post

    def _alone(
        self, features: Float[Tensor, "B L M D"], where: SpanBatch, labels: Tensor
    ) -> Float[Tensor, "B M 2"]:
        scores = self.head(self.sum.alone(features.flatten(0, 1))).unflatten(0, features.shape[:2])
        return torch.stack(
            [
                log_p_of_answer(self.by_position(scores[:, :, i], where), labels)
                for i in range(len(self.modalities))
            ],
            dim=1,
        )


def part_of(batch: Batch) -> SpanBatch:
    """Return where the context of a batch is."""
    part = batch.extras[NAME]
    assert isinstance(part, SpanBatch)
    return part


def possible(where: SpanBatch) -> Bool[Tensor, "B L"]:
    """Return the positions that can be an answer or stand for none."""
    allowed = where.context.clone()
    allowed[:, NULL] = True
    return allowed


def token_proxies(batch: Batch) -> dict[Modality, Float[Tensor, "T d"]]:
    """Return, per proxy modality, question times sentence for each of the B * L columns."""
    where = part_of(batch)
    return {
        m: (question.unsqueeze(1) * where.vectors[m][where.sentence]).flatten(0, 1)
        for m, question in batch.proxies.items()
    }


def context_means(features: Float[Tensor, "B L M D"], where: SpanBatch) -> Float[Tensor, "B M D"]:
    """Return the mean over the context's tokens."""
    weight = (where.sentence > 0).to(features.dtype)
    total = torch.einsum("blmd,bl->bmd", features, weight)
    return total / weight.sum(1).clamp_min(1.0)[:, None, None]


def log_p_of_answer(logits: Float[Tensor, "B 2 P"], labels: Tensor) -> Float[Tensor, "B 2"]:
    """Return log p of the right first and of the right last position, in nats."""
    return logits.float().log_softmax(-1).gather(-1, labels[:, :2].unsqueeze(-1)).squeeze(-1)


def best_spans(
    logits: Float[Tensor, "B 2 P"], context: Bool[Tensor, "B L"], longest: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (B,) first and last position of each row's best span, its score, and the score of no answer.

    A score is the sum of a start logit and an end logit; the best span is in the context, ends where it
    starts or later, and has at most `longest` tokens. All of them are tried.
    """
    starts, ends = logits.float().unbind(1)
    null = starts[:, NULL] + ends[:, NULL]
    length = context.shape[1]
    starts = starts[:, :length].masked_fill(~context, OUTSIDE)
    ends = ends[:, :length].masked_fill(~context, OUTSIDE)
    bounds = [functional.pad(ends[:, k:], (0, k), value=OUTSIDE) for k in range(min(longest, length))]
    score, flat = (starts.unsqueeze(1) + torch.stack(bounds, dim=1)).flatten(1).max(1)  # (B, K * L)
    first = flat % length
    return first, first + flat // length, score, null
