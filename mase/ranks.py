"""Several processes that train one unit together, over the GPUs of a machine or over machines.

`torchrun` or `accelerate launch` starts them and tells each in its environment which of how many
it is; Accelerate joins them. All see the same batches in the same order. Each works on its share of
a batch's rows; what is summed over rows is then summed over the ranks, so that loss, gradients and
allocation are those of one process. Rank 0 writes and decides. A process by itself is rank 0 of 1, for
which every function here gives back what it was given.

Dropout differs between the ranks, so a run repeats its numbers for the same number of ranks only.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mase.errors import MaseError, ParamsError

MEAN_OVER_ROWS = ("classification", "multiple_choice", "regression", "span")  # losses that ranks can share

T = TypeVar("T")


def count() -> int:
    """Return how many processes train this unit."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return which of them this is, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def launched() -> bool:
    """Return whether a launcher started this process."""
    return "LOCAL_RANK" in os.environ


def is_main() -> bool:
    """Return whether this process writes results, tracks the run and talks to the user."""
    return rank() == 0


def device() -> torch.device:
    """Join the other ranks, and return the device of this one."""
    from accelerate import PartialState

    found: Any = PartialState(cpu=not torch.cuda.is_available()).device
    return found


def leave() -> None:
    """Part from the other ranks: the last that one does whose work is done.

    Else a thread of the backend may let go of the last tensor while the interpreter ends, and abort it.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def check_family(family: str) -> None:
    """Refuse to share a unit of a task family whose loss is no mean over rows.

    Raises:
        ParamsError: if it is one of these.
    """
    if family not in MEAN_OVER_ROWS:
        raise ParamsError(
            f"several processes can train one unit of {', '.join(MEAN_OVER_ROWS)}, not of "
            f"{family}; use one process a unit, and --engine for several units at a time"
        )


def decided(decide: Callable[[], T]) -> T:
    """Return on every rank what `decide` returns on rank 0, which alone calls it.

    Files change between the looks of two ranks: one that goes on alone waits for the others for ever.

    Raises:
        MaseError: on every rank, if `decide` raises one.
    """
    if count() == 1:
        return decide()
    device()
    told: list[Any] = [None]
    if is_main():
        try:
            told = [(decide(), None)]
        except MaseError as cause:
            told = [(None, cause)]
    torch.distributed.broadcast_object_list(told)
    found, refusal = told[0]
    if refusal is not None:
        raise refusal
    return found


def portion(indices: np.ndarray) -> tuple[np.ndarray, float]:
    """Return this rank's rows of a batch, and their share of all of its rows.

    A rank for which there is none works on the first row with a share of 0, so that it takes part.
    """
    mine = indices[rank() :: count()]
    return (mine, len(mine) / len(indices)) if len(mine) else (indices[:1], 0.0)


def summed(value: Tensor) -> Tensor:
    """Return the sum over the ranks, without gradient."""
    return _reduced(value.detach().clone()) if count() > 1 else value


def joined(features: Tensor, keys: Sequence[Any]) -> tuple[Tensor, list[Any]]:
    """Return the rows of all ranks, and what goes with them, rank after rank.

    This rank's rows keep their gradient and the others' have none: where the same function of all
    rows is worked out on each rank, the sum of the ranks' gradients is its gradient.
    """
    if count() == 1:
        return features, list(keys)
    found = gathered((features.detach().cpu(), list(keys)))
    rows = [part.to(features.device) for part, _ in found]
    rows[rank()] = features
    return torch.cat(rows), [key for _, part in found for key in part]


def gathered(value: Any) -> list[Any]:
    """Return the values of all ranks, by rank. Tensors must be on the processor."""
    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    torch.distributed.all_gather_object(found, value)
    return found


def sum_gradients(model: nn.Module) -> None:
    """Replace each gradient by its sum over the ranks; one that no rank has stays absent."""
    if count() == 1:
        return
    trained = [p for p in model.parameters() if p.requires_grad]
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    present = torch.tensor([float(p.grad is not None) for p in trained], device=parts[0].device)
    total = _reduced(torch.cat([part.flatten().float() for part in parts] + [present]))
    sizes = [p.numel() for p in trained]
    for p, part, there in zip(
        trained, total[: -len(trained)].split(sizes), total[-len(trained) :], strict=True
    ):
        p.grad = part.view_as(p).to(p.dtype) if there > 0 else None


def _reduced(value: Tensor) -> Tensor:
    torch.distributed.all_reduce(value)
    return value
