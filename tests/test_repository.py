"""What every file of the repository keeps to: size, no traces of a machine, docstrings, a true README."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).resolve().parent.parent
MEBIBYTE = 2**20
WEIGHTS = re.compile(r"mase/.*\.(safetensors|npz|json\.gz)")  # shipped on purpose
LARGEST_WEIGHTS, ALL_WEIGHTS = 3 * MEBIBYTE, 10 * MEBIBYTE
LONGEST_FUNCTION, LONGEST_MODULE = 70, 400

MACHINE_PATH = re.compile(r"(?<![\w./$}])/(?:work|root|opt/(?:pypi|wheels)|home/\w+|Users/\w+)\b")
INDEX_HOST = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|deb\.debian\.org|file:/{3}")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")


@cache
def files() -> tuple[Path, ...]:
    """Return the files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(path for name in sorted(listed.split("\0")) if name and (path := ROOT / name).is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def text_of(path: Path) -> str:
    """Return a file's text, "" if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{relative(path)}:{number}: {line.strip()[:80]}"
        for path in files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_is_large_but_the_declared_weights() -> None:
    sizes = {relative(path): path.stat().st_size for path in files()}
    weights = {name: size for name, size in sizes.items() if WEIGHTS.fullmatch(name)}
    assert not {n: s for n, s in sizes.items() if n not in weights and s > MEBIBYTE}
    assert not {n: s for n, s in weights.items() if s > LARGEST_WEIGHTS}
    assert sum(weights.values()) <= ALL_WEIGHTS


@pytest.mark.parametrize(
    ("pattern", "sample"),
    [
        (MACHINE_PATH, "open('/" + "root/x')"),
        (INDEX_HOST, "https://files." + "pythonhosted" + ".org"),
        (UNFINISHED, "# TO" + "DO: later"),
    ],
    ids=["machine path", "index host", "unfinished"],
)
def test_no_trace_of_a_machine_or_of_unfinished_work(pattern: re.Pattern[str], sample: str) -> None:
    assert pattern.search(sample)
    assert not lines_matching(pattern)


def test_every_package_says_what_may_live_there() -> None:
    folders = {path.parent for path in python_files() if relative(path).startswith(("mase/", "flows/"))}
    silent = []
    for folder in sorted(folders):
        init = folder / "__init__.py"
        docstring = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) if init.exists() else None
        if len(docstring or "") < 30:
            silent.append(relative(folder))
    assert folders
    assert not silent


def test_functions_and_modules_stay_short() -> None:
    long = []
    for path in python_files():
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > LONGEST_MODULE:
            long.append(f"{relative(path)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if (lines := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                    long.append(f"{relative(path)}:{node.lineno}: {node.name} has {lines} lines")
    assert not long


@cache
def declared() -> set[str]:
    """Return the normalised names of the distributions that pyproject.toml asks for, those of extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in wanted}
    return names - {project["name"]}  # an extra that takes in others names the project itself


def test_every_imported_package_is_declared() -> None:
    homes = packages_distributions()
    own = {"mase", "flows", "dashboards", "tests"}
    undeclared = set()
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - own:
                if not {home.lower().replace("_", "-") for home in homes.get(name, [])} & declared():
                    undeclared.add(f"{relative(path)}: {name}")
    assert not undeclared


def test_every_declared_package_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in pins)
    assert declared() <= {line.partition("==")[0].lower().replace("_", "-") for line in pins}


def test_no_module_is_a_drawer_of_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not [relative(path) for path in python_files() if {path.stem, path.parent.name} & drawers]


def code_blocks(path: Path) -> list[str]:
    """Return the lines of a Markdown file's fenced blocks."""
    parts = path.read_text(encoding="utf-8").split("```")
    return [line.strip() for part in parts[1::2] for line in part.splitlines()[1:]]


def test_the_readme_shows_the_two_commands() -> None:
    shown = {line.partition("#")[0].strip() for line in code_blocks(ROOT / "README.md")}
    assert {"make demo", "make test"} <= shown


def unknown_words(line: str, command: Any) -> list[str]:
    """Return the subcommand or the options of a shell line that a Typer command does not have."""
    words = line.partition(" #")[0].split()[1:]
    for word in words:
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        if word not in command.commands:
            return [word]
        command = command.commands[word]
    known = {"--help"}.union(*({*p.opts, *p.secondary_opts} for p in command.params))
    return [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]


def test_every_command_in_the_documentation_exists() -> None:
    from flows.cli import app

    command = typer.main.get_command(app)
    assert unknown_words("mase no-such-command", command)
    assert unknown_words("mase reproduce --no-such-option", command)
    pages = [path for path in files() if path.suffix == ".md"]
    shown = [(page, line) for page in pages for line in code_blocks(page) if line.startswith("mase ")]
    unknown = {f"{relative(page)}: {line}": unknown_words(line, command) for page, line in shown}
    assert shown
    assert not {where: words for where, words in unknown.items() if words}


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in [path for path in files() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{relative(page)}: {target}")
    assert not broken
