"""From a checkpoint's keys to the parameter names of `ClipTextTransformer`, strictly.

Every text key must be there, every other key must be one that the format is known to
have, every shape must be the one that the params declare.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from mase.errors import CheckpointFormatError
from mase.params import TowerParams
from mase.proxies.clip_text import text_shapes


@dataclass(frozen=True)
class Source:
    """The checkpoint keys of one parameter: stacked along dimension 0, then transposed if asked."""

    keys: tuple[str, ...]
    transposed: bool = False


KeyMap = dict[str, Source]


def identical(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint whose keys have no wrapper."""
    return dict(state)


@dataclass(frozen=True)
class CheckpointFormat:
    """One layout of checkpoint files.

    Attributes:
        name: as in `TowerParams.format`.
        key_map: number of layers -> source of every parameter.
        ignored: patterns of the keys that are known and are not text weights.
        unwrapped: takes off prefixes that wrap the whole checkpoint.
    """

    name: str
    key_map: Callable[[int], KeyMap]
    ignored: tuple[str, ...]
    unwrapped: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = identical


BLOCK_PARAMETERS = tuple(
    f"{part}.{kind}"
    for part in ("ln_1", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for kind in ("weight", "bias")
)


def clip_keys(layers: int) -> KeyMap:
    """Return the map of OpenAI's own layout, whose keys are the parameter names."""
    names = ["token_embedding.weight", "positional_embedding", "ln_final.weight", "ln_final.bias"]
    for layer in range(layers):
        block = f"transformer.resblocks.{layer}."
        names += [f"{block}attn.in_proj_weight", f"{block}attn.in_proj_bias"]
        names += [block + parameter for parameter in BLOCK_PARAMETERS]
    return {name: Source((name,)) for name in [*names, "text_projection"]}


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take `prefix` off the keys that have it, unless that would collide with another key."""
    short = {key: key.removeprefix(prefix) for key in state}
    return {key if short[key] in state else short[key]: tensor for key, tensor in state.items()}


def _listed(keys: set[str]) -> str:
    shown = sorted(keys)
    rest = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(repr(key) for key in shown[:3]) + rest


def _check_keys(keys: set[str], wanted: set[str], layout: CheckpointFormat, path: Path) -> None:
    if missing := wanted - keys:
        raise CheckpointFormatError(
            f"{path}: the {layout.name} format needs the text key {_listed(missing)}; "
            "is the tower's format, or its number of layers, another?"
        )
    extra = {key for key in keys - wanted if not any(fnmatchcase(key, known) for known in layout.ignored)}
    if extra:
        raise CheckpointFormatError(
            f"{path}: the {layout.name} format has no key {_listed(extra)}; "
            "is the tower's format, or its number of layers, another?"
        )


def _gather(source: Source, state: Mapping[str, Tensor], shape: tuple[int, ...], path: Path) -> Tensor:
    parts = [state[key] for key in source.keys]
    expected = shape[::-1] if source.transposed else shape
    expected = (expected[0] // len(parts), *expected[1:])
    for key, part in zip(source.keys, parts, strict=True):
        if tuple(part.shape) != expected or not part.is_floating_point():
            raise CheckpointFormatError(
                f"{path}: key {key!r} is {part.dtype} of shape {tuple(part.shape)}, "
                f"but the tower's params ask for floating point of shape {expected}"
            )
    joined = torch.cat(parts) if len(parts) > 1 else parts[0]
    return (joined.T if source.transposed else joined).to(torch.float32, copy=True).contiguous()


def text_weights(
    state: Mapping[str, Tensor], layout: CheckpointFormat, params: TowerParams, path: Path
) -> dict[str, Tensor]:
    """Return every parameter of the text transformer from a checkpoint, float32.

    Args:
        state: all tensors of the checkpoint.
        layout: the checkpoint's format.
        params: the shape that the checkpoint must have.
        path: the file, for messages.

    Raises:
        CheckpointFormatError: naming the file and the key, if a text key is missing, a key is
            not one of the format, or a tensor has another shape or is not floating point.
    """
    tensors = layout.unwrapped(state)
    key_map = layout.key_map(params.layers)
    wanted = {key for source in key_map.values() for key in source.keys}
    _check_keys(set(tensors), wanted, layout, path)
    shapes = text_shapes(params)
    return {name: _gather(source, tensors, shapes[name], path) for name, source in key_map.items()}
