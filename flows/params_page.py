"""What `docs/` says of params, written from the params files and their models, so that it is true.

    python -m flows.params_page docs

writes `docs/params.md`, and the parts of `docs/tasks.md` and `docs/towers.md` between their marks. A test
compares the pages with what this module writes.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mase.params import (
    FileColumns,
    FileSource,
    HubSource,
    Params,
    TaskParams,
    TowerParams,
    available,
    read_named,
)

HEAD = """# Params

Every setting that a run depends on is a key of a YAML file below `params/`. This page is written from these
files and from their models in `mase/params/` by `python -m flows.params_page docs`; a test compares.

## How files compose

Layers, later ones winning key by key; a list, or a value that is no mapping, is replaced whole:

1. `params/base.yaml`
2. `params/profiles/P.yaml`: `--profile P`. It names sizes, data source, language model, towers and preset.
3. `params/tasks/T.yaml`: the task's name, or the path of a file of your own ([tasks](tasks.md)).
4. `params/backbones/B.yaml`: `--backbone B`, by default the profile's.
5. `params/presets/S.yaml`: `--preset S`, by default the profile's.
6. Overlays of `methods/`, `ablations/` and `controls/`, in order: `--method NAME`, repeatable.
7. `--params FILE`, `--data-dir`, `--max-train-rows`, then `--set key=value`, in this order.

A tower is given by name (`towers.image: clip-vit-b32`) or whole ([towers](towers.md)). An unknown key is
refused with the nearest one, and all errors of a file are reported together. `$MASE_PARAMS` names another
folder than `params/`.

```sh
mase params check                                                # every file, in every combination
mase params show mrpc --profile local --data-dir DIR             # what a run's params come to
mase params show looks --method mase --method no_mssg            # with an overlay
mase train looks --set contrastive.alpha=0.2 --set graph=null
```

A unit's digest covers the settings that change its numbers, its data and the bytes of the weights that it
reads. Two commands that come to the same settings share the unit.
"""
KINDS = {
    "profiles": "Profiles",
    "presets": "Presets",
    "methods": "Methods",
    "ablations": "Ablations",
    "controls": "Controls",
}
NAMED = {"tasks": "[tasks.md](tasks.md)", "towers": "[towers.md](towers.md)", "backbones": "`--backbone`"}
FIELDS = """## Keys

Key, values, default, meaning. The keys of `task` are in [tasks.md](tasks.md), those of `towers` in
[towers.md](towers.md).
"""
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}  # of a bound's attribute


def page() -> str:
    """Return the page."""
    parts = [HEAD, *(_files(kind, title) for kind, title in KINDS.items()), _names(), FIELDS]
    return "\n".join([*parts, "\n".join(_tables(Params, leave_out=("task", "towers")))])


def _files(kind: str, title: str) -> str:
    lines = [f"## {title}", "", "| name | what |", "| --- | --- |"]
    for name in available(kind):
        about = " ".join(str(read_named(kind, name).get("about", "")).split())
        lines.append(f"| `{name}` | {_cell(about)} |")
    return "\n".join([*lines, ""])


def _names() -> str:
    lines = ["## Other files", ""]
    for kind, where in NAMED.items():
        lines.append(f"- `params/{kind}/` ({where}): {', '.join(f'`{name}`' for name in available(kind))}")
    return "\n".join([*lines, ""])


def field_table(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the fields of a model that are no models themselves, as a Markdown table."""
    rows = [
        f"| `{prefix}{name}` | {_values(field)} | {_default(field)} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if _inner(field) is None
    ]
    return ["| key | values | default | meaning |", "| --- | --- | --- | --- |", *rows] if rows else []


def _tables(model: type[BaseModel], *, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the table of a model's own keys, then one for each model inside it."""
    yield from [*field_table(model), ""]
    for name, field in model.model_fields.items():
        inner = _inner(field)
        if inner is not None and name not in leave_out:
            about = " ".join((inner.__doc__ or "").split())
            yield from [f"### {name}", "", _cell(about), "", *field_table(inner, f"{name}."), ""]


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model that a field holds, if it holds one; a dictionary of models counts."""
    options = [field.annotation, *_flat_arguments(field.annotation)]
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _flat_arguments(annotation: Any) -> list[Any]:
    found: list[Any] = []
    for argument in get_args(annotation):
        found += [argument, *_flat_arguments(argument)]
    return found


def _values(field: FieldInfo) -> str:
    return _cell(", ".join([_type(field.annotation), *_bounds(field)]))


def _bounds(field: FieldInfo) -> list[str]:
    """Return the bounds of a field in signs, those inside an optional value among them."""
    entries = list(field.metadata)
    for argument in _flat_arguments(field.annotation):
        for entry in getattr(argument, "__metadata__", ()):
            entries += entry.metadata if isinstance(entry, FieldInfo) else [entry]
    return [f"{sign} {getattr(e, name)}" for e in entries for name, sign in SIGNS.items() if hasattr(e, name)]


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}" if Ellipsis in arguments else f"{len(arguments)} values"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    names = {type(None): "null", int: "whole number", float: "number", str: "text", bool: "true, false"}
    return names.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if isinstance(value, tuple):
        value = list(value)
    names = {None: "null", True: "true", False: "false"}
    shown = names[value] if value is None or isinstance(value, bool) else value
    return f"`{shown}`" if shown != "" else "empty"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _task_list() -> str:
    lines = ["| task | title | family | main metric | from |", "| --- | --- | --- | --- | --- |"]
    for name in available("tasks"):
        task = TaskParams.model_validate(read_named("tasks", name))
        places = {"files": task.files, "hub": task.hub, "embedded": task.embedded}
        sources = ", ".join(place for place, source in places.items() if source is not None)
        lines.append(f"| `{name}` | {_cell(task.title)} | {task.family} | {task.main_metric} | {sources} |")
    return "\n".join(lines)


def _task_keys() -> str:
    models = {"": TaskParams, "files.": FileSource, "files.columns.": FileColumns, "hub.": HubSource}
    return "\n\n".join("\n".join(field_table(model, prefix)) for prefix, model in models.items())


def _tower_list() -> str:
    lines = ["| tower | modality | format | what it is read from | note |", "| --- | --- | --- | --- | --- |"]
    for name in available("towers"):
        content = read_named("towers", name)
        read = "nothing" if content["format"] == "random" else f"`{content['ref']}`"
        note = _cell(" ".join(content.get("note", "").split()))
        lines.append(f"| `{name}` | {content['modality']} | `{content['format']}` | {read} | {note} |")
    return "\n".join(lines)


def _tower_keys() -> str:
    return "\n".join(field_table(TowerParams))


BLOCKS: dict[str, Callable[[], str]] = {
    "task list": _task_list,
    "task keys": _task_keys,
    "tower list": _tower_list,
    "tower keys": _tower_keys,
}
MARKED = re.compile(r"(<!-- written: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return a page with the parts between its marks written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def write(folder: Path) -> list[Path]:
    """Write the pages of a `docs` folder; return those that changed."""
    wanted = {folder / "params.md": page()}
    for path in sorted(folder.glob("*.md")):
        if path.name != "params.md" and MARKED.search(text := path.read_text(encoding="utf-8")):
            wanted[path] = filled(text)
    changed = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(wanted[path], encoding="utf-8")
    return changed


if __name__ == "__main__":
    for changed_page in write(Path(sys.argv[1])):
        print(changed_page)
