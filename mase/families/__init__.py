"""Task families: what differs between kinds of tasks once the features are fused, one file per family.

A family says how many numbers the head gives, what the loss is (Eq. 7), what information means
(Eq. 10), how modalities mix in the `em` preset, and what a prediction looks like. Its loader and its
metrics have the same file name in `mase.data` and `mase.evaluation.metrics`, where no torch is needed.
"""

from mase.families.classification import Classification
from mase.families.cloze import Cloze
from mase.families.family import Answered, Family
from mase.families.generation import Generation
from mase.families.multiple_choice import MultipleChoice
from mase.families.regression import Regression
from mase.families.span import Span
from mase.families.vqa import Vqa
from mase.params import TaskParams

FAMILIES: dict[str, Family] = {
    "classification": Classification(),
    "regression": Regression(),
    "multiple_choice": MultipleChoice(),
    "cloze": Cloze(),
    "generation": Generation(),
    "span": Span(),
    "vqa": Vqa(),
}


def family_of(task: TaskParams) -> Family:
    """Return what a task's family does."""
    return FAMILIES[task.family]


__all__ = ["FAMILIES", "Answered", "Classification", "Family", "MultipleChoice", "Regression", "family_of"]
