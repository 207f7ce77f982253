"""The model card: data, params, scores over seeds, limits, and the terms of the weights in use.

One card describes one configuration. It is made of params, so it can be written beside a model that
nobody has scored; scores are added where there are some.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mase import __version__
from mase.licences import CODE_LICENCE, terms_in_use
from mase.params import Params

ALWAYS = (
    "Proxies are functions of the text: the model has seen no picture, sound or video of what a text says.",
    "The allocation z is one set of weights for all texts. It says how much of a modality enters the sum, "
    "not how important the modality is.",
    "Towers, tagger and parser read English.",
)
STAND_IN = (
    "The {names} {verb} no CLIP, AudioCLIP or CLIP-ViP: small stand-ins of this project, which were "
    "trained on captions alone."
)
SYNTHETIC = "The rows are generated from a lexicon and templates; they are no evidence about natural text."
RANDOM = "The language model is drawn at random and small: scores mean nothing."
MINILM = (
    "The language model was itself trained on question duplicates, inference pairs and captions, so it may "
    "have seen sentences of the evaluation."
)
CAPPED = "Trained on at most {rows:,} rows, so scores are not those of the whole training set."


@dataclass(frozen=True)
class ModelCard:
    """Sections of a card: heading -> lines. Text is plain; whoever writes it out escapes it."""

    title: str
    sections: Mapping[str, tuple[str, ...]]

    def to_markdown(self) -> str:
        """Return the card as the README of a model folder, with the front matter that a hub reads."""
        lines = [
            "---",
            "library_name: mase",
            "license: other",
            "language: en",
            "---",
            "",
            f"# {self.title}",
            "",
        ]
        for heading, entries in self.sections.items():
            lines += [f"## {heading}", "", *(f"- {entry}" for entry in entries), ""]
        return "\n".join(lines)


def card_of(params: Params, seeds: Sequence[int] | None = None) -> ModelCard:
    """Return the card of a model trained with these params, or of several that differ in the seed."""
    parts = {
        "Data": _data(params),
        "Model": _model(params, seeds or (params.seed,)),
        "Limits": _limits(params),
        "Terms of the weights": _terms(params),
    }
    return ModelCard(f"{params.task.title}, method {params.method}", {k: tuple(v) for k, v in parts.items()})


def settings_of(params: Params) -> dict[str, Any]:
    """Return the settings that differ from the defaults of `mase/params`, by dotted key.

    Task and towers are told apart elsewhere; where the data lie on a machine is nobody's business.
    """
    left_out: Any = {"task": True, "towers": True, "backbone": True, "seed": True, "data": {"dir"}}
    content = params.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    backbone = params.backbone.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    content["backbone"] = backbone
    return dict(_flat(content))


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in content.items():
        inner = isinstance(value, Mapping) and value
        found += _flat(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return found


def _data(params: Params) -> list[str]:
    task, data = params.task, params.data
    source = {
        "embedded": f"generator {task.embedded}",
        "files": f"files {task.files.train if task.files else ''}, {task.files.dev if task.files else ''}",
        "hub": f"hub data set {task.hub.path} at {task.hub.revision}" if task.hub else "hub",
    }[data.source]
    lines = [f"{task.family}, {source}; split seed {data.split_seed}"]
    lines += [f"labels: {', '.join(task.labels)}"] if 0 < len(task.labels) <= 12 else []
    lines += [task.note] if task.note else []
    own = "made by this project, under its licence" if data.source == "embedded" else "the data set's own"
    return [*lines, f"terms: {own}"]


def _model(params: Params, seeds: Sequence[int]) -> list[str]:
    towers = [f"{m}: {params.towers[m].name}" for m in params.modalities if m in params.towers]
    lines = [
        f"mase {__version__}, code under {CODE_LICENCE}; method {params.method}",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        f"language model {params.backbone.name}, adapter {params.backbone.adapter}",
        f"modalities {', '.join(params.modalities)}{'; towers ' + ', '.join(towers) if towers else ''}",
    ]
    said = ", ".join(f"{key} = {value}" for key, value in settings_of(params).items())
    return [*lines, f"settings that differ from the defaults: {said or 'none'}"]


def _limits(params: Params) -> list[str]:
    towers = [params.towers[m] for m in params.modalities if m in params.towers]
    names = [tower.name for tower in towers if tower.stand_in and tower.format != "random"]
    lines = []
    if names:
        said = f"{'towers' if len(names) > 1 else 'tower'} {', '.join(names)}"
        lines.append(STAND_IN.format(names=said, verb="are" if len(names) > 1 else "is"))
    if params.data.source == "embedded":
        lines.append(SYNTHETIC)
    if params.backbone.source == "random":
        lines.append(RANDOM)
    if (
        "minilm" in f"{params.backbone.name} {params.backbone.ref}".lower()
        and params.backbone.source != "random"
    ):
        lines.append(MINILM)
    if params.data.max_train_rows is not None:
        lines.append(CAPPED.format(rows=params.data.max_train_rows))
    return [*lines, *ALWAYS]


def _terms(params: Params) -> list[str]:
    return [terms.sentence() for terms in terms_in_use(params)]
