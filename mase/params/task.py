"""Params of a task: what it asks, and where its rows come from."""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mase.params.base import Frozen, Name, Positive
from mase.params.vqa import VqaParams

FileFormat = Literal["tsv", "csv", "jsonl", "parquet", "squad", "vqa", "commongen", "coco", "vicomte"]
FamilyName = Literal["classification", "regression", "multiple_choice", "span", "generation", "cloze", "vqa"]

OBJECT, BLANK = "[object]", "[blank]"  # markers of a template
MASK = "[MASK]"  # a hidden word in a text, whatever the tokenizer's own token for it

SUFFIXES: dict[str, FileFormat] = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


class FileColumns(Frozen):
    """Which columns hold the texts and the label. Dots lead into nested fields (`question.stem`)."""

    text_a: Name = Field(description="the text, the first of a pair, or the question of a multiple choice")
    text_b: Name | None = Field(default=None, description="the second text of a pair")
    choices: tuple[Name, ...] = Field(
        default=(),
        description="multiple choice: one column for each choice, in order, or the one that lists them",
    )
    label: Name = Field(
        description="the class, the score, or which choice is right; of texts to learn hidden words from, "
        "the text itself (the same column as text_a)"
    )
    article: Name | None = Field(
        default=None, description="probes of objects: what stands before the name in text_a (a, the)"
    )

    @field_validator("choices", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _distinct(self) -> "FileColumns":
        if self.text_b is not None and self.choices:
            raise ValueError("give text_b (a pair) or choices (multiple choice), not both")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices names a column twice")
        return self

    @property
    def pairs(self) -> bool:
        """Return whether a text comes with a second one: of a pair, or a choice of a question."""
        return self.text_b is not None or bool(self.choices)


class FileSource(Frozen):
    """Files of a data set: official ones below `data.dir`, or the user's own beside the task's YAML."""

    folder: Name = Field(
        default=".", description="below data.dir, or below the folder of a task file given by path"
    )
    train: Name = Field(description="name of the training file")
    dev: Name | None = Field(
        default=None, description="name of the development file; null: a share of the training file"
    )
    dev_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.2,
        description="where dev is null: share of the training rows that become the development rows, "
        "stratified by label and drawn with data.split_seed",
    )
    format: FileFormat | None = Field(
        default=None,
        description="tsv: no quoting, a quote is a character; csv: quoting of RFC 4180; jsonl: one object "
        "a line; parquet. null: by the file's suffix",
    )
    empty_texts: Literal["refuse", "keep"] = Field(
        default="refuse", description="whether a row without text ends the reading or is a row like others"
    )
    columns: FileColumns
    dev_format: FileFormat | None = Field(
        default=None, description="of the development file, where it differs"
    )
    dev_columns: FileColumns | None = Field(
        default=None, description="of the development file, where they differ"
    )
    train_annotations: Name | None = Field(
        default=None, description="format vqa: the file of the answers; null: by the official naming"
    )
    dev_annotations: Name | None = Field(default=None, description="of the development file")
    beside: str | None = Field(
        default=None, description="folder of the task's YAML file; set when a task is given by path"
    )

    @model_validator(mode="after")
    def _known_formats(self) -> "FileSource":
        for name, given in ((self.train, self.format), (self.dev, self.dev_format or self.format)):
            if name is not None and given is None and PurePath(name).suffix.lower() not in SUFFIXES:
                raise ValueError(f"format of {name!r} is unknown; set format: tsv, csv, jsonl or parquet")
        return self

    def format_of(self, name: str) -> FileFormat:
        """Return the format of one of the files."""
        given = self.dev_format or self.format if name == self.dev else self.format
        return given or SUFFIXES[PurePath(name).suffix.lower()]

    def columns_of(self, name: str) -> FileColumns:
        """Return the columns of one of the files."""
        return self.dev_columns or self.columns if name == self.dev else self.columns

    @property
    def located(self) -> bool:
        """Return whether the files can be found without `data.dir`."""
        return self.beside is not None or Path(self.folder).expanduser().is_absolute()


def beside(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a task file's content with the file's own folder as `files.beside`.

    So a relative `files.folder` of a task given by path is found from the YAML file, wherever
    the command is run. Nothing changes in a task without files.
    """
    files = content.get("files")
    if not isinstance(files, Mapping):
        return dict(content)
    folder = str(path.expanduser().absolute().parent)
    return {**content, "files": {"beside": folder, **files}}


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
    family: FamilyName
    labels: tuple[str, ...] = Field(
        default=(),
        description="class names as the label column writes them; the class id is the position. "
        "Multiple choice: what the label column writes for the first choice, the second, ...",
    )
    label_range: tuple[float, float] | None = Field(
        default=None, description="regression: lowest and highest label"
    )
    options: Annotated[int, Field(ge=1, le=26)] = Field(
        default=1, description="multiple choice: how many choices every question has"
    )
    templates: tuple[Name, ...] = Field(
        default=(),
        description="probes of objects: sentences with [object] where its name stands. Cloze: one or more, "
        "with [blank] after a space where a label is asked for, each asked of every object. "
        "Classification: one, the text that stands for the object",
    )
    doc_stride: Positive = Field(
        default=128,
        description="span: tokens that two neighbouring windows of a context share, at most a third of one",
    )
    metrics: tuple[str, ...]
    main_metric: str = Field(description="the metric that a table cell shows")
    files: FileSource | None = None
    hub: HubSource | None = None
    embedded: str | None = Field(default=None, description="name of a generator in mase.data.embedded")
    vqa: VqaParams | None = Field(default=None, description="visual question answering only")
    note: str = ""

    @field_validator("labels", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Take numbers as names; refuse what YAML made of an unquoted yes or no."""
        if not isinstance(value, list | tuple):
            return value
        if any(isinstance(label, bool) for label in value):
            raise ValueError(
                'YAML reads bare yes, no, on, off, true and false as booleans; quote them: "yes"'
            )
        return [str(label) if isinstance(label, int) else label for label in value]

    @model_validator(mode="after")
    def _consistent(self) -> "TaskParams":
        if self.family in ("classification", "cloze") and len(self.labels) < 2:
            raise ValueError(f"a {self.family} task needs at least two labels")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels names a class twice")
        if self.family == "regression" and self.label_range is None:
            raise ValueError("a regression task needs label_range")
        if self.main_metric not in self.metrics:
            raise ValueError(f"main_metric {self.main_metric!r} is not one of metrics {list(self.metrics)}")
        self._check_options()
        self._check_templates()
        if self.vqa is not None and self.family != "vqa":
            raise ValueError(f"vqa: is for vqa tasks; this one is {self.family}")
        return self

    def _check_templates(self) -> None:
        if self.family not in ("cloze", "classification") and self.templates:
            raise ValueError(f"templates are for cloze and classification tasks; this one is {self.family}")
        if self.family == "cloze" and not self.templates:
            raise ValueError("a cloze task needs templates, sentences with [object] and [blank]")
        if self.family == "cloze" and (self.files is None or self.files.dev is None):
            raise ValueError("a cloze task needs files.dev, the probe; files.train holds texts to learn from")
        if self.family == "classification" and len(self.templates) > 1:
            raise ValueError("a classification task takes one template, the text that stands for the object")
        blanks = 1 if self.family == "cloze" else 0
        for template in self.templates:
            if template.count(OBJECT) < 1 or template.count(BLANK) != blanks or MASK in template:
                wanted = f"[object] and {'[blank] once' if blanks else 'no [blank]'}"
                raise ValueError(f"template {template!r} needs {wanted}")
            if blanks and f" {BLANK}" not in template:
                raise ValueError(f"template {template!r}: a space must stand before [blank]")

    def _check_options(self) -> None:
        chooses = self.family == "multiple_choice"
        if chooses and self.options < 2:
            raise ValueError("a multiple_choice task needs options, the number of choices, 2 or more")
        if chooses and len(self.labels) != self.options:
            raise ValueError(
                f"a multiple_choice task with options: {self.options} needs {self.options} labels, "
                f"what the label column writes for each choice in order; there are {len(self.labels)}"
            )
        if not chooses and self.options > 1:
            raise ValueError(f"options is for multiple_choice tasks; this one is {self.family}")
        for name, source in (("files", self.files), ("hub", self.hub)):
            columns = () if source is None else source.columns.choices
            if source is not None and bool(columns) != chooses:
                what = "needs" if chooses else "has no use for"
                raise ValueError(f"a {self.family} task {what} {name}.columns.choices")
            if len(columns) not in (0, 1, self.options):
                raise ValueError(
                    f"{name}.columns.choices names {len(columns)} columns, but options is {self.options}"
                )
