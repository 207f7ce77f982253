"""Versions: Python, the packages against the bounds of this project and the tested freeze, the extras."""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from mase.doctor.check import Check

ROOT = Path(__file__).resolve().parents[2]
OLDEST_PYTHON = (3, 11)
REASONS = {"fastapi": "Prefect's clients fail with FastAPI 0.151 or newer, its server with 0.155"}
EXTRAS = {
    "dashboard": "mase dashboard",
    "postgres": "tracking, studies and Prefect on PostgreSQL",
    "servers": "the servers of docker-compose.yml",
    "ray": "--engine ray",
    "dask": "--engine dask",
    "regions": "VQA region features in h5 files",
    "retrieval": "approximate search in large galleries of images",
}
BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*([\w.]+)")
COMPARISONS = {
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
}  # fmt: skip


def check_versions() -> list[Check]:
    """Return the checks of Python, the required packages, the tested freeze and the extras."""
    return [check_python(sys.version_info[:3]), *check_packages(*wanted()), *check_freeze(), *check_extras()]


def check_python(version: Sequence[int]) -> Check:
    """Return the check of an interpreter's version."""
    text = ".".join(map(str, version))
    if tuple(version[:2]) < OLDEST_PYTHON:
        return Check("Python", "problem", text, "mase needs Python 3.11 or newer: make PYTHON=python3.11")
    return Check("Python", "ok", text)


def wanted() -> tuple[list[str], dict[str, list[str]]]:
    """Return the requirements of this project, and those of each extra: of the checkout, or as installed."""
    path = ROOT / "pyproject.toml"
    if path.is_file():
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        return project["dependencies"], project["optional-dependencies"]
    base: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("mase") or []:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", marker)
        (extras.setdefault(extra[1], []) if extra else base).append(requirement.strip())
    return base, extras


def name_of(requirement: str) -> str:
    """Return the name of a requirement: "psycopg" of "psycopg[binary]>=3.2"."""
    return re.split(r"[^\w.-]", requirement)[0]


def numbers(version: str) -> tuple[int, ...]:
    """Return a release's numbers, without zeros at the end: (3, 10) of "3.10.0rc1+cpu"."""
    found = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in found[0].split(".")] if found else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def within(version: str, requirement: str) -> bool:
    """Tell whether a version is within a requirement's bounds."""
    return all(
        COMPARISONS[sign](numbers(version), numbers(bound)) for sign, bound in BOUND.findall(requirement)
    )


def installed(name: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_packages(required: Sequence[str], extras: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Yield a check for each required package that is wrong, or one that says that none is.

    A package of an extra is checked against its bounds only where it is installed.
    """
    optional = [line for name in EXTRAS for line in extras.get(name, ()) if installed(name_of(line))]
    wrong = [found for line in (*required, *optional) if (found := _wrong(line))]
    yield from wrong
    if not wrong:
        yield Check("Packages", "ok", f"{len(required)} required packages are installed, within their bounds")


def _wrong(requirement: str) -> Check | None:
    name = name_of(requirement)
    found = installed(name)
    remedy = f"pip install '{requirement}'"
    if found is None:
        return Check(f"Package {name}", "problem", "not installed", remedy)
    if within(found, requirement):
        return None
    reason = f"; {REASONS[name]}" if name in REASONS else ""
    return Check(f"Package {name}", "problem", f"{found}, but {requirement} is needed{reason}", remedy)


def check_freeze(path: Path = ROOT / "constraints.txt") -> Iterator[Check]:
    """Yield whether the required packages have the versions that the project is tested with."""
    if not path.is_file():
        return
    lines = [line.partition("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]
    pins = {name.strip().lower().replace("_", "-"): pin for name, _, pin in lines if not name.startswith("#")}
    differ = []
    for name in map(name_of, wanted()[0]):
        pin, found = pins.get(name.lower().replace("_", "-")), installed(name)
        if pin and found and numbers(pin) != numbers(found):
            differ.append(f"{name} {found} (tested {pin})")
    if differ:
        yield Check(
            "Tested versions", "warning", "other than tested: " + ", ".join(differ),
            "pip install -c constraints.txt -e .",
        )  # fmt: skip
    else:
        yield Check("Tested versions", "ok", "the required packages are those of constraints.txt")


def check_extras() -> Iterator[Check]:
    """Yield what each extra is for, and whether it is installed."""
    extras = wanted()[1]
    for extra, purpose in EXTRAS.items():
        missing = [name_of(line) for line in extras.get(extra, []) if installed(name_of(line)) is None]
        if missing:
            said = f"not installed ({', '.join(missing)}); for {purpose}"
            yield Check(f"Extra {extra}", "ok", said, f"pip install 'mase[{extra}]'")
        else:
            yield Check(f"Extra {extra}", "ok", f"installed; for {purpose}")
