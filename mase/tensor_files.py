"""Read the tensors of a checkpoint file, and nothing but tensors."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mase.errors import CheckpointFormatError

TRAINING_STATE = {"state_dict", "epoch", "name", "optimizer", "scaler"}  # what OpenCLIP's training writes
PICKLE_MAGIC = b"\x80"


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load_pickle(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)
    if zipped and _is_torchscript(path):
        raise CheckpointFormatError(
            f"{path}: this is a TorchScript archive, which holds code and cannot be read as tensors only. "
            "If you trust the file, convert it once: "
            f"torch.save(torch.jit.load({path.name!r}, map_location='cpu').state_dict(), 'state_dict.pt')"
        )
    with path.open("rb") as stream:
        if not zipped and stream.read(1) != PICKLE_MAGIC:
            raise CheckpointFormatError(f"{path}: not a checkpoint, neither of torch.save nor safetensors")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as cause:  # the unpickler raises whatever a damaged or hostile file makes it raise
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        reason = ([line for line in lines if "GLOBAL" in line or "Unsupported" in line] or lines)[-1].strip()
        raise CheckpointFormatError(
            f"{path}: holds more than tensors, or is damaged, and was not loaded: {reason}"
        ) from cause


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file or of a state dict that torch.save wrote.

    A training checkpoint of OpenCLIP gives the tensors of its `state_dict`.

    Raises:
        CheckpointFormatError: naming the file, and the key if there is one, if the file is
            damaged, is a TorchScript archive, or holds anything but tensors by name.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as cause:
            raise CheckpointFormatError(f"{path}: damaged safetensors file: {cause}") from cause
    content = _load_pickle(path)
    if isinstance(content, Mapping) and "state_dict" in content and set(content) <= TRAINING_STATE:
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CheckpointFormatError(f"{path}: expected tensors by name, found {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointFormatError(f"{path}: key {key!r} holds {type(value).__name__}, not a tensor")
    return dict(content)
