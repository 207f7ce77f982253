"""The only place that seeds anything.

Every source of randomness in a run derives from the unit's `seed` and a name, so
that adding a new consumer of randomness does not shift the others.
"""

import hashlib
import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, name: str) -> int:
    """Return a 63-bit seed that depends on `seed` and on what it is used for."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices) for one run."""
    import torch  # here, so that rooms without tensors load without it

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def numpy_generator(seed: int, name: str) -> np.random.Generator:
    """Return a NumPy generator of its own for the purpose `name`."""
    return np.random.default_rng(derive(seed, name))


def torch_generator(seed: int, name: str) -> "torch.Generator":
    """Return a CPU torch generator of its own for the purpose `name`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, name))
