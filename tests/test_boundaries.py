"""The borders between the rooms, read off the syntax trees."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for room in ("mase", "flows", "dashboards") for p in (ROOT / room).rglob("*.py"))

Rule = Callable[[str, ast.AST], set[str]]  # (path, tree) -> what it does that it must not

IMPORTERS = {"import_module", "__import__"}
MLFLOW_ROOMS = {"mase/tracking/mlflow_tracker.py", "mase/serving/pyfunc.py", "mase/serving/registry.py"}
ORCHESTRATION = {"prefect", "optuna", "flows"}
ARITHMETIC = {"torch", "numpy", "scipy", "sklearn", "torch_geometric", "transformers", "open_clip"}
PICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
PICKLE_CALLS = {"read_pickle", "to_pickle"}
DOWNLOADS = {"nltk.download", "nltk.downloader.download", "evaluate.load", "torch.hub.load"}
SEEDERS = {
    "torch.manual_seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.seed",
    "np.random.seed",
    "numpy.random.seed",
    "random.seed",
    "transformers.set_seed",
    "set_seed",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of every module that a tree imports, by statement or by `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in IMPORTERS:
            yield from (str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for a chain of names, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Yield the dotted name and the keyword arguments of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), {k.arg: k.value for k in node.keywords if k.arg}


def is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def packages(tree: ast.AST) -> set[str]:
    return {name.partition(".")[0] for name in imported(tree)}


def orchestration_in_science(path: str, tree: ast.AST) -> set[str]:
    return packages(tree) & ORCHESTRATION if path.startswith("mase/") else set()


def mlflow_outside_its_rooms(path: str, tree: ast.AST) -> set[str]:
    return set() if path in MLFLOW_ROOMS else {p for p in packages(tree) if p.startswith("mlflow")}


def arithmetic_in_flows(path: str, tree: ast.AST) -> set[str]:
    return packages(tree) & ARITHMETIC if path.startswith("flows/") else set()


def pickled_data(_path: str, tree: ast.AST) -> set[str]:
    found = packages(tree) & PICKLERS
    for name, keywords in calls(tree):
        unsafe_torch = name == "torch.load" and not is_true(keywords.get("weights_only"))
        unsafe_numpy = is_true(keywords.get("allow_pickle"))
        if unsafe_torch or unsafe_numpy or name.rpartition(".")[2] in PICKLE_CALLS:
            found.add(name)
    return found


def downloads(_path: str, tree: ast.AST) -> set[str]:
    return ({name for name, _ in calls(tree)} & DOWNLOADS) | (packages(tree) & {"evaluate"})


def seeding_elsewhere(path: str, tree: ast.AST) -> set[str]:
    return set() if path == "mase/seeds.py" else {name for name, _ in calls(tree)} & SEEDERS


RULES: list[tuple[Rule, str, str]] = [
    (orchestration_in_science, "mase/em/loop.py", "def f():\n    from prefect.tasks import task"),
    (orchestration_in_science, "mase/x.py", "import importlib\nimportlib.import_module('optuna.trial')"),
    (mlflow_outside_its_rooms, "flows/cli.py", "import mlflow.pyfunc as m"),
    (arithmetic_in_flows, "flows/tasks.py", "import numpy as np"),
    (pickled_data, "mase/x.py", "import torch\ntorch.load('a.pt')"),
    (pickled_data, "mase/x.py", "import torch\ntorch.load('a.pt', weights_only=False)"),
    (pickled_data, "mase/x.py", "import numpy as np\nnp.load('a.npy', allow_pickle=True)"),
    (pickled_data, "mase/x.py", "frame.to_pickle('a')"),
    (pickled_data, "flows/x.py", "from pickle import loads"),
    (downloads, "mase/x.py", "import nltk\nnltk.download('punkt')"),
    (downloads, "mase/x.py", "from evaluate import load"),
    (seeding_elsewhere, "mase/em/loop.py", "import torch\ntorch.manual_seed(0)"),
    (seeding_elsewhere, "mase/em/loop.py", "import numpy as np\nnp.random.seed(0)"),
]


@pytest.mark.parametrize(("rule", "path", "source"), RULES)
def test_a_planted_violation_is_seen(rule: Rule, path: str, source: str) -> None:
    assert rule(path, ast.parse(source))


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _, _ in RULES), ids=lambda rule: rule.__name__)
def test_no_module_crosses_the_border(rule: Rule) -> None:
    found = {}
    for module in MODULES:
        path = module.relative_to(ROOT).as_posix()
        if names := rule(path, ast.parse(module.read_text(encoding="utf-8"))):
            found[path] = sorted(names)
    assert not found


def test_there_are_modules_to_read() -> None:
    assert {"mase/params/models.py", "mase/seeds.py"} <= {m.relative_to(ROOT).as_posix() for m in MODULES}
