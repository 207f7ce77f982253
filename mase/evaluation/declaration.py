"""What a file under `params/tables/` may say: rows, columns and the paper's numbers."""

from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mase.params import Frozen, read_named, validate

AVERAGE = "average"
Group = Literal["reference", "method", "ablation", "control"]


def task_of(column: str) -> str:
    """Return the task of a column: "squad_v2" of "squad_v2:exact"."""
    return column.partition(":")[0]


def metric_of(column: str) -> str | None:
    """Return the metric that a column names: "exact" of "squad_v2:exact"; None for the main metric."""
    return column.partition(":")[2] or None


class EnsembleParams(Frozen):
    """The averaged predictions of another row, for a row that trains nothing."""

    of: str = Field(description="label of the row, which stands above")
    seeds: Annotated[int, Field(ge=2)] = Field(default=2, description="how many of its seeds are averaged")


class RowParams(Frozen):
    """One row of a table: a configuration, and what the paper reports for it."""

    label: str
    group: Group
    overlays: tuple[str, ...] = Field(
        default=(), description="files of methods/, ablations/, controls/, in order"
    )
    overrides: tuple[str, ...] = Field(default=(), description="a.b=c, after the overlays")
    backbone: str | None = Field(default=None, description="name of a backbone, if not the run's")
    backbones: tuple[str, ...] = Field(
        default=(), description="the row needs one of these backbones; the note says why"
    )
    paper: dict[str, dict[str, float]] = Field(
        default={}, description="base model -> column -> per cent as printed; absent means not published"
    )
    placebo: bool = Field(
        default=False, description="control without information: a gain that it shows is no gain"
    )
    available: bool = Field(
        default=True, description="false: declared, but not yet possible; the note says why"
    )
    predictions: dict[str, str] = Field(
        default={},
        description="vqa task -> file of someone else's answers (official results JSON), scored instead of a "
        "training run; such a row has no overlays",
    )
    ensemble: EnsembleParams | None = Field(
        default=None, description="average predictions of another row's seeds; such a row has no overlays"
    )
    without: dict[str, str] = Field(default={}, description="task -> why this row has no cell there")
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "RowParams":
        if self.predictions and (self.overlays or not self.available):
            raise ValueError(f"row {self.label!r} has predictions, so it is available and takes no overlays")
        if self.ensemble is not None:
            self._check_ensemble()
        elif self.available and not self.overlays and not self.predictions:
            raise ValueError(f"row {self.label!r} needs overlays")
        if (not self.available or self.backbones) and not self.note:
            raise ValueError(f"row {self.label!r} is not always available, so its note must say why")
        if self.backbone is not None and self.backbones:
            raise ValueError(f"row {self.label!r} names a backbone of its own; it cannot need the run's")
        if self.placebo and self.group != "control":
            raise ValueError(f"row {self.label!r} is a placebo, so its group must be control")
        return self

    def _check_ensemble(self) -> None:
        settings = ("overlays", "overrides", "backbone", "backbones", "predictions")
        named = [name for name in settings if getattr(self, name)]
        if named or not self.available:
            raise ValueError(
                f"row {self.label!r} is an ensemble of another row's models, so it is available and has no "
                f"{', '.join(named or settings)}"
            )


class TableParams(Frozen):
    """A table: which rows are measured on which tasks, and against which row."""

    about: str = ""
    name: str
    title: str
    columns: tuple[str, ...] = Field(
        min_length=1, description="names of tasks, shown by their main metric, or task:metric"
    )
    titles: dict[str, str] = Field(default={}, description="column -> its head, if not the task's title")
    averages: dict[str, tuple[str, ...]] | None = Field(
        default=None,
        description="name -> columns that it averages, shown or not; the one called average is the paper's; "
        "null: one average over all columns",
    )
    overrides: tuple[str, ...] = Field(default=(), description="a.b=c for every row, before the row's own")
    folds: dict[str, Annotated[int, Field(ge=2)]] = Field(
        default={}, description="task -> k: a cell has k units a seed, one for each fold of the training file"
    )
    reference: str = Field(description="label of the row that the others are compared with")
    primary: str = Field(description="label of the row that the headline is about")
    quoted: tuple[str, ...] = Field(default=(), description="base models whose numbers are quoted, in order")
    quoted_from: str = Field(default="", description="where the quoted numbers were printed")
    rows: tuple[RowParams, ...]
    footnotes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "TableParams":
        labels = [row.label for row in self.rows]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"row labels occur twice: {twice}")
        if len(set(self.columns)) < len(self.columns) or {AVERAGE, *self.averaged} & set(self.columns):
            raise ValueError(f"columns must be distinct tasks, none called {AVERAGE!r} or like an average")
        self._check_columns()
        for field, label in (("reference", self.reference), ("primary", self.primary)):
            if label not in labels or not self.row(label).available:
                raise ValueError(f"{field} {label!r} is not the label of an available row")
            if self.row(label).ensemble is not None:
                raise ValueError(f"{field} {label!r} is an ensemble; take a row that trains")
        for row in self.rows:
            self._check_row(row)
        return self

    def _check_columns(self) -> None:
        for name, columns in self.averaged.items():
            foreign = [column for column in columns if task_of(column) not in self.tasks]
            if foreign or len(set(columns)) < len(columns):
                raise ValueError(f"averages: {name!r} must have distinct columns of this table's tasks")
        _refuse_unknown("titles", self.titles, self.columns)
        _refuse_unknown("folds", self.folds, self.tasks)

    def _check_row(self, row: RowParams) -> None:
        _refuse_unknown(f"without of row {row.label!r}", row.without, self.tasks)
        _refuse_unknown(f"predictions of row {row.label!r}", row.predictions, self.tasks)
        if row.ensemble is not None:
            above = self.rows[: self.rows.index(row)]
            _refuse_unknown(
                f"ensemble of row {row.label!r}",
                [row.ensemble.of],
                [other.label for other in above if other.overlays],
            )
        for base, numbers in row.paper.items():
            if base not in self.quoted:
                raise ValueError(
                    f"row {row.label!r} quotes {base!r}, which is not in quoted {list(self.quoted)}"
                )
            unknown = sorted(set(numbers) - {*self.columns, *self.averaged})
            if unknown:
                raise ValueError(f"row {row.label!r} quotes {base!r} on unknown columns {unknown}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the columns, each once, in order."""
        return tuple(dict.fromkeys(task_of(column) for column in self.columns))

    @property
    def averaged(self) -> dict[str, tuple[str, ...]]:
        """The averages: name -> the columns that it is the mean of."""
        return {AVERAGE: self.columns} if self.averages is None else self.averages

    def row(self, label: str) -> RowParams:
        """Return the row with this label."""
        return next(row for row in self.rows if row.label == label)


def _refuse_unknown(field: str, names: Iterable[str], known: Collection[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"{field} names {unknown[0]!r}; there is: {', '.join(known)}")


def load_table(name: str) -> TableParams:
    """Read a table's declaration: "demo", "table6", "6", or the path of a YAML file.

    Raises:
        ParamsError: if there is no such table, or with every error found in it.
    """
    file = f"table{name}" if name.isdigit() else name
    return validate(TableParams, read_named("tables", file), f"table {name}")
