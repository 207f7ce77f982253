"""Read a compose file as Compose does: merge keys, then variables; and what it must hold."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?[-?])([^}]*))?\}|(\w+))")
SCHEMA = Path(__file__).with_name("compose-spec-subset.json")


class MissingVariable(Exception):
    """A required variable is unset or empty; Compose stops with this message."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in: `$A`, `${A}`, `${A:-default}`, `${A:?message}`, both without the colon, and `$$`."""

    def replaced(match: re.Match[str]) -> str:
        dollar, name, operator, word, bare = match.groups()
        if dollar:
            return "$"
        value = variables.get(name or bare)
        if operator and (value is None or (operator.startswith(":") and not value)):
            if operator.endswith("?"):
                raise MissingVariable(f"required variable {name} is missing a value: {word}")
            return word
        return value or ""

    return VARIABLE.sub(replaced, text)


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, variables)
    if isinstance(value, list):
        return [_interpolated(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _interpolated(item, variables) for key, item in value.items()}
    return value


def read(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a compose file of the project with its variables put in."""
    content = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return _interpolated(content, variables)


def problems(content: dict[str, Any]) -> list[str]:
    """Return what the schema has against a compose file, each with its path."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(content)]


def env_file(path: Path) -> dict[str, str]:
    """Return the variables of a `.env` file."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
