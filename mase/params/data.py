"""Params of a run's rows: which are read, and how they are split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mase.params.base import Frozen, Name, Positive, Share


class DataParams(Frozen):
    """Where rows come from and how they are split. One decision for all rows of a table."""

    source: Literal["embedded", "files", "hub"] = "embedded"
    dir: str | None = Field(default=None, description="folder of the official files, for source: files")
    regions: tuple[Name, ...] = Field(
        default=(),
        description="files of region features in place of those that the task names (task.vqa.regions); "
        "tasks that read none stay without",
    )
    fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="low resource: share of the training rows that are left once internal_test (and tune) "
        "are set aside; the information slice comes from inside it",
    )
    max_train_rows: Positive | None = Field(
        default=None, description="cap on training rows; with fraction as well, the smaller one wins"
    )
    subset: Literal["sample", "head"] = Field(
        default="sample",
        description="which rows fraction and max_train_rows keep: a sample drawn with split_seed and "
        "stratified by label, or the first rows of the file, not stratified (as iACE did)",
    )
    max_eval_rows: Positive | None = None
    internal_test: Share = Field(
        default=0.2, description="share of the training file kept aside, never tuned on"
    )
    slice_share: Share = Field(default=0.1, description="information slice, share of the training rows")
    slice_min: Positive = 100
    slice_max: Positive = 512
    tune_share: Share = Field(default=0.2, description="share of the training rows a study is scored on")
    evaluate_on: Literal["dev", "internal_test", "tune", "dev_and_internal_test"] = "dev"
    split_seed: int = Field(
        default=0, description="the same for every seed of a cell, so that rows are paired"
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        description="cross-validation: cut the training file into so many folds, by group and stratified "
        "like every split; fold takes the place of internal_test and of the development rows",
    )
    fold: Annotated[int, Field(ge=0)] = Field(default=0, description="which fold is evaluated on, from 0")

    @model_validator(mode="after")
    def _fold_exists(self) -> "DataParams":
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold {self.fold} is not one of folds ({self.folds}), counted from 0")
        if self.folds is not None and self.evaluate_on == "internal_test":
            raise ValueError("with folds there is no internal_test; evaluate_on: dev is the fold")
        return self

    @model_validator(mode="after")
    def _subset_of_something(self) -> "DataParams":
        if self.subset == "head" and self.fraction is None and self.max_train_rows is None:
            raise ValueError(
                "subset: head keeps the first rows; say how many with fraction or max_train_rows"
            )
        return self
