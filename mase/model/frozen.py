"""The backbone's frozen layers, run once per set of rows and kept for every run that shares them."""

import hashlib
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor

from mase.artifacts import digest_of
from mase.model.backbone import Backbone
from mase.model.inputs import Inputs

BUDGET_BYTES = 1_500_000_000
LOWER_PART = {"source", "ref", "revision", "freeze_layers", "random_config"}  # params its output depends on
_CACHE: OrderedDict[str, Tensor] = OrderedDict()


def cache_frozen_states(backbone: Backbone, inputs: Inputs, seed: int, batch_size: int = 64) -> None:
    """Give the inputs the (T, W) output of the frozen layers for all their tokens.

    For later runs the process keeps at most `BUDGET_BYTES` of states, those that were used
    longest ago going first. Inputs keep their own states for as long as they live, evicted or
    not, so a run holds at most that much per split on top. A set of rows that alone is larger
    is not cached, and its batches run the frozen layers.
    """
    tokens = inputs.tokens
    if backbone.lower is None or tokens is None:
        return
    if len(tokens.ids) * backbone.width * 4 > BUDGET_BYTES:
        return
    weights = seed if backbone.params.source == "random" else None
    ids = tokens.ids.tobytes() + tokens.types.tobytes() + tokens.pointer.tobytes()
    key = digest_of(
        [
            backbone.params.model_dump(mode="json", include=LOWER_PART),
            weights,
            str(_device(backbone)),
            hashlib.sha256(ids).hexdigest(),
        ]
    )
    if key not in _CACHE:
        _CACHE[key] = _states(backbone, inputs, batch_size)
        while sum(t.numel() * t.element_size() for t in _CACHE.values()) > BUDGET_BYTES:
            _CACHE.popitem(last=False)
    _CACHE.move_to_end(key)
    inputs.frozen = _CACHE[key]


def _device(backbone: Backbone) -> torch.device:
    return next(backbone.parameters()).device


def _states(backbone: Backbone, inputs: Inputs, batch_size: int) -> Tensor:
    tokens = inputs.tokens
    assert tokens is not None
    flat = torch.empty(len(tokens.ids), backbone.width)
    order = np.argsort(tokens.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        ids, mask, types = (t.to(_device(backbone)) for t in tokens.pad(indices))
        states = backbone.frozen_states(ids, mask, types)[mask].float().cpu()
        positions = np.concatenate(
            [np.arange(int(tokens.pointer[i]), int(tokens.pointer[i + 1])) for i in indices]
        )
        flat[torch.from_numpy(positions)] = states
    return flat
