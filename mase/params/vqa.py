"""Params of a visual question answering task: its answers and its region features."""

from typing import Annotated, Literal

from pydantic import Field

from mase.params.base import Frozen, Name, Positive


class VqaParams(Frozen):
    """Which answers are classes, and where the regions of the images are."""

    answers_at_least: Positive = Field(
        default=3,
        description="an answer is a class if it is the most frequent one of so many training questions",
    )
    answers_at_most: Annotated[int, Field(ge=2)] = Field(
        default=3129, description="classes, the most frequent first; 3,129 is what the peers have"
    )
    split: Literal["official", "minval", "contaminated"] = Field(
        default="official",
        description="official: train on train, score on val; minval, contaminated: as ViLBERT and "
        "ConceptBert were trained, with a warning (mase.data.vqa_splits)",
    )
    minval: Positive = Field(
        default=3000, description="last questions of val that minval and contaminated do not train on"
    )
    regions: tuple[Name, ...] = Field(
        default=(),
        description="files of region features (npz, h5, parquet; see mase.data.region_files) below the "
        "folder of the task's files, or absolute; several are joined. None: question-only",
    )
    region_width: Positive = Field(default=2048, description="numbers of a region's feature")
