"""Params of a task and its rows: what it asks, where its rows come from, how they are split."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Frozen(BaseModel):
    """Base of every params model: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileColumns(Frozen):
    """Which columns of a delimited file hold the texts and the label."""

    text_a: str
    text_b: str | None = None
    label: str


class FileSource(Frozen):
    """Official files of a data set below `data.dir`."""

    folder: str
    train: str
    dev: str
    columns: FileColumns


class HubSource(Frozen):
    """A data set on the Hugging Face hub, pinned to one revision."""

    path: str
    name: str | None = None
    revision: str
    columns: FileColumns
    train: str = "train"
    dev: str = "validation"


class TaskParams(Frozen):
    """One task: what it asks, where it comes from, how it is scored."""

    name: str
    title: str
    family: Literal["classification", "regression"]
    labels: tuple[str, ...] = Field(default=(), description="class names; the class id is the position")
    label_range: tuple[float, float] | None = Field(
        default=None, description="regression: lowest and highest label"
    )
    metrics: tuple[str, ...]
    main_metric: str = Field(description="the metric that a table cell shows")
    files: FileSource | None = None
    hub: HubSource | None = None
    embedded: str | None = Field(default=None, description="name of a generator in mase.data.embedded")
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "TaskParams":
        if self.family == "classification" and len(self.labels) < 2:
            raise ValueError("a classification task needs at least two labels")
        if self.family == "regression" and self.label_range is None:
            raise ValueError("a regression task needs label_range")
        if self.main_metric not in self.metrics:
            raise ValueError(f"main_metric {self.main_metric!r} is not one of metrics {list(self.metrics)}")
        return self


class DataParams(Frozen):
    """Where rows come from and how they are split. One decision for all rows of a table."""

    source: Literal["embedded", "files", "hub"] = "embedded"
    dir: str | None = Field(default=None, description="folder of the official files, for source: files")
    max_train_rows: Positive | None = Field(default=None, description="cap on training rows, a seeded sample")
    max_eval_rows: Positive | None = None
    internal_test: Share = Field(
        default=0.2, description="share of the training file kept aside, never tuned on"
    )
    slice_share: Share = Field(default=0.1, description="information slice, share of the training rows")
    slice_min: Positive = 100
    slice_max: Positive = 512
    tune_share: Share = Field(default=0.2, description="share of the training rows a study is scored on")
    evaluate_on: Literal["dev", "internal_test", "tune"] = "dev"
    split_seed: int = Field(
        default=0, description="the same for every seed of a cell, so that rows are paired"
    )
