"""How the YAML files under `params/` combine into one run's params.

Layers, later ones winning key by key:

    base.yaml < profiles/P.yaml < tasks/T.yaml < backbones/B.yaml < presets/S.yaml
              < methods, ablations and controls (overlays) < --set a.b=c
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mase.errors import ParamsError
from mase.params.models import Params
from mase.params.task import beside


def params_root() -> Path:
    """Return the folder of the shipped params, or `$MASE_PARAMS`."""
    override = os.environ.get("MASE_PARAMS")
    return Path(override) if override else Path(__file__).resolve().parents[2] / "params"


def available(kind: str) -> list[str]:
    """Return the names of the shipped files of one kind ("tasks", "backbones", ...)."""
    return sorted(p.stem for p in (params_root() / kind).glob("*.yaml"))


@lru_cache(maxsize=512)
def _read(path: Path, _mtime: int) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise ParamsError(f"{path}: cannot be read as YAML: {cause}") from cause
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: the top level must be a mapping, not {type(content).__name__}")
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ParamsError: if the file is missing, is not YAML or is not a mapping.
    """
    if not path.exists():
        raise ParamsError(f"{path}: no such params file")
    return merge({}, _read(path, path.stat().st_mtime_ns))


def read_named(kind: str, name: str) -> dict[str, Any]:
    """Return the file `params/<kind>/<name>.yaml`, or the file at the path `name`.

    Raises:
        ParamsError: if there is no such file, with the nearest names.
    """
    if name.endswith((".yaml", ".yml")):
        content = read_yaml(Path(name))
        return beside(content, Path(name)) if kind == "tasks" else content
    if name not in available(kind):
        raise ParamsError(
            f"no {kind[:-1] if kind.endswith('s') else kind} {name!r}{_suggest(name, available(kind))}"
        )
    return read_yaml(params_root() / kind / f"{name}.yaml")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top, mappings key by key, everything else whole."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def parse_override(text: str) -> dict[str, Any]:
    """Turn `a.b=c` into `{"a": {"b": c}}`, with `c` read as YAML.

    Raises:
        ParamsError: if there is no `=` or the value is not YAML.
    """
    path, sign, value = text.partition("=")
    if not sign or not all(path.split(".")):
        raise ParamsError(f"--set {text!r}: expected key=value, with dots between nested keys")
    try:
        result: Any = yaml.safe_load(value)
    except yaml.YAMLError as cause:
        raise ParamsError(f"--set {text!r}: the value is not YAML: {cause}") from cause
    if isinstance(result, str):  # YAML 1.1 reads 1e-4 as a string
        try:
            result = float(result)
        except ValueError:
            pass
    nested: dict[str, Any] = {}
    inner = nested
    *parents, last = path.split(".")
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = result
    return nested


def _suggest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is: {', '.join(names)}"


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the field names of the model that `path` leads to, for suggestions."""
    current: Any = model
    for part in path:
        field = (
            current.model_fields.get(str(part))
            if isinstance(current, type) and issubclass(current, BaseModel)
            else None
        )
        if field is None:
            return []
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        current = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if current is None:
            return []
    return list(current.model_fields)


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], content: Mapping[str, Any], where: str) -> Model:
    """Build a params model, reporting all errors at once.

    Raises:
        ParamsError: one line per error: dotted path, what is wrong, the nearest valid key.
    """
    try:
        return model.model_validate(content)
    except ValidationError as cause:
        lines = []
        for error in cause.errors():
            path = ".".join(str(part) for part in error["loc"]) or "(whole file)"
            message = error["msg"].removeprefix("Value error, ")
            if error["type"] == "extra_forbidden":
                message = "unknown key" + _suggest(
                    str(error["loc"][-1]), _fields_at(model, error["loc"][:-1])
                )
            lines.append(f"  {path}: {message}")
        raise ParamsError(f"{where}: {len(lines)} error(s)\n" + "\n".join(lines)) from cause


def _resolve_towers(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Replace tower names by the content of their files."""
    towers = content.get("towers", {})
    if not isinstance(towers, Mapping):
        raise ParamsError(f"{where}: towers must map a modality to a tower's name or a mapping")
    resolved = {
        modality: read_named("towers", tower) if isinstance(tower, str) else tower
        for modality, tower in towers.items()
    }
    for modality, tower in resolved.items():
        resolved[modality] = {**tower, "modality": modality} if isinstance(tower, Mapping) else tower
    return {**content, "towers": resolved}


def _prompt(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the task's prompts from `params/prompts/`, with those of the layers on top; None without any."""
    given, task = content.get("prompt") or {}, content["task"].get("name", "")
    if task not in available("prompts"):
        return dict(given) or None
    return merge(read_named("prompts", task), given)


def overlay(name: str) -> dict[str, Any]:
    """Return an overlay `kind/name` (methods, ablations or controls) without its `about` line.

    Raises:
        ParamsError: if the kind or the name is unknown.
    """
    kind, _, stem = name.rpartition("/")
    kinds = [kind] if kind else ["methods", "ablations", "controls"]
    if kind and kind not in ("methods", "ablations", "controls"):
        raise ParamsError(f"overlay {name!r}: expected methods/, ablations/ or controls/ before the name")
    for candidate in kinds:
        if stem in available(candidate):
            content = read_named(candidate, stem)
            content.pop("about", None)
            return content
    names = [f"{k}/{n}" for k in kinds for n in available(k)]
    raise ParamsError(f"no method, ablation or control {name!r}{_suggest(name, names)}")


def load_params(
    task: str,
    *,
    profile: str = "demo",
    backbone: str | None = None,
    preset: str | None = None,
    overlays: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
) -> Params:
    """Layer the params files and overrides into the params of one run.

    Args:
        task: name under `params/tasks/`, or the path of a YAML file.
        profile: name under `params/profiles/`; it sets sizes, backbone, preset and towers.
        backbone, preset: replace the profile's choice.
        overlays: methods, ablations and controls, in order ("methods/mpb", "no_contrastive").
        overrides: `a.b=c` strings, as given to `--set`.
        seed: the run's seed.

    Raises:
        ParamsError: with every error found in the result, by dotted path.
    """
    content = merge(read_yaml(params_root() / "base.yaml"), read_named("profiles", profile))
    content.pop("about", None)
    content = merge(content, {"task": read_named("tasks", task)})
    chosen_backbone = backbone or content["backbone"]
    if isinstance(chosen_backbone, str):
        keep = content.pop("backbone_settings", {})
        content["backbone"] = merge(read_named("backbones", chosen_backbone), keep)
    chosen_preset = content.pop("preset", "sound")
    settings = read_named("presets", preset or chosen_preset)
    settings.pop("about", None)
    content = merge(content, settings)
    for name in overlays:
        content = merge(content, overlay(name))
    where = f"params of {task} (profile {profile})"
    for text in overrides:
        content = merge(_resolve_towers(content, where), parse_override(text))
    if seed is not None:
        content["seed"] = seed
    if content.get("head", {}).get("kind", "linear") != "linear":
        content["prompt"] = _prompt(content)
    return validate(Params, _resolve_towers(content, where), where)
