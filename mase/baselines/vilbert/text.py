"""The language model with its last layers apart, so that something can come between them."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mase.errors import ParamsError
from mase.model.backbone import Backbone
from mase.model.cutting import cut
from mase.params import BackboneParams


class LayeredBackbone(Backbone):
    """A backbone whose forward pass ends before its last `count` layers, which `step` runs one by one.

    Attributes:
        parts: the last layers, each a model that takes states.

    Raises:
        ParamsError: as `Backbone`, if the family's layers cannot be run apart, or there are not more
            than `count` of them above the frozen ones.
    """

    def __init__(self, params: BackboneParams, count: int, architecture: Path | None = None):
        super().__init__(params, architecture)
        self.depth = int(self.config.num_hidden_layers)
        below = self.depth - params.freeze_layers - count
        if below < 1:
            raise ParamsError(
                f"vilbert.layers: {count}, but the language model has {self.depth} layers, "
                f"{params.freeze_layers} of them frozen, and one must be left below"
            )
        learns = [(parameter, parameter.requires_grad) for parameter in self.encoder.parameters()]
        try:
            self.encoder, rest = cut(self.encoder, below)
        except ParamsError as cause:
            raise ParamsError(f"co-attention between the layers of {params.name}: {cause}") from cause
        parts = []
        for _ in range(count - 1):
            part, rest = cut(rest, 1)
            parts.append(part)
        self.parts = nn.ModuleList([*parts, rest])
        for parameter, trains in learns:  # `cut` is made for lower parts that are frozen
            parameter.requires_grad_(trains)
        self.train()

    def step(
        self,
        number: int,
        states: Float[Tensor, "B L W"],
        mask: Bool[Tensor, "B L"],
        types: Int[Tensor, "B L"],
    ) -> Float[Tensor, "B L W"]:
        """Return the states after the last layers' `number`-th, counted from 0."""
        active = self.training and self.autocast is not None
        with torch.autocast(states.device.type, self.autocast, enabled=active):
            return self._call(self.parts[number], mask, types, inputs_embeds=states).float()  # type: ignore[arg-type]
