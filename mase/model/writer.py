"""A model that writes sentences: a decoder stands in the place of the head, whatever the method.

A method says what its decoder attends to (`mase.model.memory`); targets, loss and search are the same.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mase.errors import ParamsError
from mase.families import family_of
from mase.families.generation import PADDED
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.beam_search import beam_search
from mase.model.decoder import Decoder, special_ids
from mase.model.decoder_loading import build_decoder, has_own_decoder
from mase.model.memory import Memory
from mase.model.task_model import MaseOutput, Split, TaskModel
from mase.params import GenerationParams, Params


@dataclass(frozen=True, kw_only=True)
class GenerationOutput(MaseOutput):
    """What a forward pass knows; the decoder has not run yet, and `logits` is empty, (B, 0).

    Attributes:
        memory: text and prefix, with the stored z.
        states, raised: (B, L, W) token states before and after the graph.
    """

    memory: Memory
    states: Float[Tensor, "B L W"]
    raised: Float[Tensor, "B L W"]


class Writer(TaskModel):
    """A model whose head is a decoder."""

    generation: GenerationParams

    @classmethod
    def targets(cls, params: Params, split: Split) -> Int[Tensor, "n T"]:
        """Return the tokens of each row's first reference and its end, padded with -100; cut if too long."""
        rows, tokenizer = split.rows, split.tokenizer
        assert tokenizer is not None and rows.references is not None
        _, end, _ = special_ids(tokenizer)
        length = params.generation.max_target_length
        targets = torch.full((len(rows), length), PADDED)
        sentences = [references[0] for references in rows.references]
        coded = tokenizer(sentences, add_special_tokens=False)["input_ids"]
        for row, ids in enumerate(coded):
            whole = [*ids[: length - 1], end]
            targets[row, : len(whole)] = torch.tensor(whole)
        return targets

    def task_loss(self, output: MaseOutput, labels: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
        """Return the mean negative log likelihood per target token, in nats (Eq. 7)."""
        assert isinstance(output, GenerationOutput) and isinstance(self.head, Decoder)
        labels = _trimmed(labels)
        logits = self.head.teacher_forced(labels, output.memory)
        return family_of(self.task).loss(logits, labels, self.head)

    def log_probabilities(self, memory: Memory, labels: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """Return log p of each target token given those before it; 0 where there is none."""
        assert isinstance(self.head, Decoder)
        short = _trimmed(labels)
        found = self.head.log_probabilities(short, memory)
        return functional.pad(found, (0, labels.shape[1] - short.shape[1]))

    def predicted(self, batch: Batch) -> dict[str, Tensor]:
        """Return `tokens` (B, max_target_length), the sentence that beam search finds for each row."""
        output = self(batch)
        assert isinstance(output, GenerationOutput) and isinstance(self.head, Decoder)
        limits = {"beams": self.generation.beams, "length": self.generation.max_target_length}
        return {"tokens": beam_search(self.head, output.memory, len(batch), **limits)}


class SoftPrefix(nn.Module):
    """P of Eq. 1's counterpart: a vector of width D to `slots` vectors of the decoder's width."""

    def __init__(self, entry: int, width: int, slots: int):
        super().__init__()
        self.slots = slots
        self.project = nn.Linear(entry, slots * width)

    def forward(self, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B K W"]:
        """Return the slots of each feature vector."""
        return self.project(features).unflatten(-1, (self.slots, -1))


def language_model(params: Params, architecture: Path | None) -> tuple[Backbone, Decoder]:
    """Return encoder and decoder with first weights, the encoder drawn before the decoder.

    Raises:
        ParamsError: if no decoder goes with the backbone, or a setting has no meaning here.
    """
    if params.head.match_parameters_of is not None or params.head.hidden:
        raise ParamsError(
            "head.hidden and head.match_parameters_of: a generation task has no classifier to widen; "
            "leave them out, and set generation.decoder_layers for a larger decoder"
        )
    backbone = Backbone(params.backbone, architecture)
    loaded_later = architecture is not None
    return backbone, build_decoder(params.backbone, params.generation, backbone, loaded_later=loaded_later)


def pretrained_parts(backbone: Backbone) -> tuple[str, ...]:
    """Return `TaskModel.pretrained` of a model that writes: the decoder too, where the checkpoint has one."""
    return ("backbone.", "head.") if has_own_decoder(backbone) else ("backbone.",)


def _trimmed(labels: Int[Tensor, "B T"]) -> Int[Tensor, "B S"]:
    """Return the labels without the columns that are padding in every row."""
    return labels[:, : int((labels != PADDED).sum(1).max())]
