"""A language model at half its size: its weights rounded to float16, as a model of its own.

Rounded weights are other weights. They get a folder and so, by its bytes, a name of their own in every unit
that starts from them. Training converts them to float32 and goes on from there.
"""

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from mase.artifacts import home, write_atomically
from mase.errors import CheckpointFormatError, MissingWeightsError, ParamsError
from mase.identity import MODEL_SUFFIXES
from mase.model.loading import checkpoint_of
from mase.params import BackboneParams
from mase.tensor_files import read_tensors

FILES = ("*.json", "*.txt", "*.model", "*.safetensors")  # fetched from a hub
NOT_COPIED = (".safetensors", ".bin", ".npy")


def round_weights(params: BackboneParams, name: str) -> Path:
    """Write a backbone with float16 weights to `$MASE_HOME/checkpoints/<name>-fp16`; return the folder.

    Config and tokenizer are copied as they are. The same model always gives the same bytes.

    Raises:
        ParamsError: if the backbone starts at random, so has no weights.
        MissingWeightsError: if its files cannot be had.
        CheckpointFormatError: if a weight is too large for float16.
    """
    if params.source == "random":
        raise ParamsError(f"backbone {name} starts at random; there are no weights to round")
    source = _fetched(params) if params.source == "hub" else Path(checkpoint_of(params)[0])
    target = home() / "checkpoints" / f"{name}-fp16"
    tensors = {key: _half(key, tensor) for key, tensor in sorted(_weights(source).items())}
    write_atomically(target / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    for path in sorted(source.iterdir()):
        if path.suffix in MODEL_SUFFIXES and path.suffix not in NOT_COPIED and ".index." not in path.name:
            write_atomically(target / path.name, path.read_bytes())
    return target


def _fetched(params: BackboneParams) -> Path:
    """Return the folder of a hub's model in the cache, fetched if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(params.ref, revision=params.revision, allow_patterns=list(FILES)))
    except (OSError, HfHubHTTPError, ValueError) as cause:
        raise MissingWeightsError(f"backbone {params.name}: {params.ref} cannot be had: {cause}") from cause


def _weights(folder: Path) -> dict[str, Tensor]:
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise MissingWeightsError(f"{folder} has neither model.safetensors nor pytorch_model.bin")
    return {key: tensor for file in files for key, tensor in read_tensors(file).items()}


def _half(key: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous()
    half = tensor.to(torch.float16).contiguous()
    if not torch.isfinite(half).all():
        raise CheckpointFormatError(f"{key} has values that float16 cannot hold; use the model as it is")
    return half
