"""The task head that Eq. 7's p(y | h) comes from."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mase.params import HeadParams


class Head(nn.Module):
    """Classifier or regressor on a vector of width D.

    A classifier returns logits over C classes. A regressor returns one number, in the
    units of the labels: the linear output is scaled by the training labels' deviation
    and shifted by their mean, so that a head starts at the best constant.

    Args:
        width: D.
        outputs: C, or 1 for regression.
        params: hidden width 0 is one linear layer; h > 0 is Linear(D, h), GELU, Linear(h, C).
        mean, deviation: of the training labels (regression).
        options: text rows of an example, above 1 for multiple choice. The head then gives one score
            per text row and returns them by example: (B * options, ...) in, (B, ..., options) out.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        width: int,
        outputs: int,
        params: HeadParams,
        mean: float = 0.0,
        deviation: float = 1.0,
        options: int = 1,
    ):
        super().__init__()
        self.options = options
        self.dropout = nn.Dropout(params.dropout)
        self.hidden = nn.Linear(width, params.hidden) if params.hidden else None
        self.output = nn.Linear(params.hidden or width, outputs)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))

    def forward(self, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B C"]:
        """Return logits, or the predicted score in label units."""
        hidden = self.dropout(features)
        if self.hidden is not None:
            hidden = nn.functional.gelu(self.hidden(hidden))
        answers = self.output(hidden) * self.deviation + self.mean
        if self.options == 1:
            return answers
        return answers.squeeze(-1).unflatten(0, (-1, self.options)).movedim(1, -1)

    def examples(self, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Return one feature per example: that of its text row, or the mean over its choices."""
        return features if self.options == 1 else features.unflatten(0, (-1, self.options)).mean(1)


def hidden_width_for(parameters: int, width: int, outputs: int) -> int:
    """Return the hidden width whose head has about this many parameters: h(D + 1 + C) + C."""
    return max(1, round((parameters - outputs) / (width + 1 + outputs)))
