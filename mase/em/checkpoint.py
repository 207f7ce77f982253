"""Checkpoints at E-step boundaries, from which a run goes on bit for bit.

Only what trains and the buffers are stored: frozen layers are loaded from where they
came from. Randomness needs no state: each block of M-steps seeds itself (see
`mase.em.loop`).
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mase.errors import CheckpointFormatError

VERSION = 2
NAME = "checkpoint.pt"
DIGEST_BYTES = 32


def learned_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that training changes or sets: trainable parameters and buffers."""
    frozen = {
        name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not parameter.requires_grad
    }
    return {k: v for k, v in model.state_dict().items() if k not in frozen}


def restore_learned_state(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Load what `learned_state` gave.

    Raises:
        CheckpointFormatError: if a key is missing or foreign, or a shape differs.
    """
    expected = learned_state(model)
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        raise CheckpointFormatError(f"{where}: missing keys {missing[:3]}, foreign keys {extra[:3]}")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise CheckpointFormatError(
                f"{where}: {key} has shape {tuple(value.shape)}, the model has {tuple(expected[key].shape)}"
            )
    model.load_state_dict(state, strict=False)


def save(folder: Path, content: dict[str, Any]) -> None:
    """Write the checkpoint atomically, replacing the last one; its last bytes are its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.")
    os.close(handle)
    temporary = Path(name)
    try:
        torch.save({"version": VERSION, **content}, temporary)
        digest = _digest(temporary, temporary.stat().st_size)
        with temporary.open("ab") as file:
            file.write(digest)
        os.replace(temporary, folder / NAME)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(folder: Path) -> dict[str, Any] | None:
    """Return the last checkpoint, or None if there is none.

    Debris of a write that was cut off is removed.

    Raises:
        CheckpointFormatError: if the file is cut, if any byte of it changed, or if it is of
            another version.
    """
    for debris in folder.glob(f".{NAME}.*"):
        debris.unlink(missing_ok=True)
    path = folder / NAME
    if not path.exists():
        return None
    if not _is_whole(path):
        raise CheckpointFormatError(f"{path} is damaged or no checkpoint; delete it to start this run afresh")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content.get("version") != VERSION:
        raise CheckpointFormatError(
            f"{path} is not a version {VERSION} checkpoint; delete it to start this run afresh"
        )
    return content


def _is_whole(path: Path) -> bool:
    """Return whether the file ends in the SHA-256 of all that stands before it."""
    size = path.stat().st_size - DIGEST_BYTES
    if size <= 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _digest(path, size)


def _digest(path: Path, size: int) -> bytes:
    """Return the SHA-256 of a file's first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(min(1 << 20, size - file.tell())):
            digest.update(chunk)
    return digest.digest()
