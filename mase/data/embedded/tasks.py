"""The four synthetic tasks: which objects, which label, which sentences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mase import seeds
from mase.data.embedded.lexicon import Entry, entries
from mase.data.embedded.opinions import COMPLAINT, PRAISE, phrases
from mase.data.embedded.sentences import judgements, scenes
from mase.data.rows import Rows
from mase.errors import DataError
from mase.params import TaskParams

SEED = 20241028  # fixed: the rows are part of the project, not of a run
DEV_SHARE = 0.25  # of the groups
SENTENCES = 10  # per object
OBJECTS_PER_GROUP = 4  # says only
SENTENCES_PER_OPINION = 2  # says only, per object
WARM = ("red", "orange", "yellow", "pink")


@dataclass(frozen=True)
class Example:
    """One generated row; `label` is the label's name."""

    text: str
    label: str
    group: str


Group = list[Example]
Rule = Callable[[Entry], str | None]


def _looks(entry: Entry) -> str | None:
    return None if entry.colour is None else "warm" if entry.colour in WARM else "cool"


def _sounds(entry: Entry) -> str | None:
    return None if entry.sound is None else "silent" if entry.sound == "silent" else "sounding"


def _moves(entry: Entry) -> str | None:
    return None if entry.motion is None else "still" if entry.motion == "still" else "moving"


def _both(entry: Entry) -> str | None:
    """Name the cell of the table of sounds and motions that an object is in."""
    sound, motion = _sounds(entry), _moves(entry)
    return f"{sound} {motion}" if sound and motion else None


def _balanced(by: Rule, generator: np.random.Generator) -> list[list[Entry]]:
    """Return equally many objects for each value of a rule, shuffled, one list per value."""
    cells: dict[str, list[Entry]] = {}
    for entry in entries():
        value = by(entry)
        if value is not None:
            cells.setdefault(value, []).append(entry)
    smallest = min(map(len, cells.values()))
    return [[cells[v][i] for i in generator.permutation(len(cells[v]))[:smallest]] for v in sorted(cells)]


def _about_objects(rule: Rule, balance: Rule, generator: np.random.Generator) -> Iterator[list[Group]]:
    """Yield, for each cell of `balance`, one group of sentences per object."""
    for cell in _balanced(balance, generator):
        groups = []
        for entry in cell:
            label = rule(entry)
            assert label is not None  # `balance` keeps only objects for which `rule` has an answer
            texts = _draw(scenes(entry.name), SENTENCES, generator)
            groups.append([Example(text, label, entry.name) for text in texts])
        yield groups


def _opinions(generator: np.random.Generator) -> Iterator[list[Group]]:
    """Yield groups of a few objects with the two opinions that are voiced of them."""
    names = [entry.name for entry in entries()]
    names = [names[i] for i in generator.permutation(len(names))]
    groups = []
    for number, pair in enumerate(zip(phrases(PRAISE), phrases(COMPLAINT), strict=True)):
        group: Group = []
        for name in names[number * OBJECTS_PER_GROUP : (number + 1) * OBJECTS_PER_GROUP]:
            for label, opinion in zip(("praise", "complaint"), pair, strict=True):
                texts = _draw(judgements(name, opinion), SENTENCES_PER_OPINION, generator)
                group += [Example(text, label, f"group {number:02d}") for text in texts]
        groups.append(group)
    yield groups


def _draw(texts: list[str], count: int, generator: np.random.Generator) -> list[str]:
    return [texts[i] for i in np.sort(generator.choice(len(texts), size=count, replace=False))]


TASKS: dict[str, Callable[[np.random.Generator], Iterator[list[Group]]]] = {
    "looks": lambda generator: _about_objects(_looks, _looks, generator),
    "sounds": lambda generator: _about_objects(_sounds, _both, generator),
    "moves": lambda generator: _about_objects(_moves, _both, generator),
    "says": _opinions,
}


def generate(task: TaskParams) -> tuple[Rows, Rows]:
    """Return the training and development rows of a synthetic task; always the same.

    Raises:
        DataError: if `task.embedded` names no generator, or `task.labels` are not its labels.
    """
    name = task.embedded
    if name is None or name not in TASKS:
        raise DataError(f"task {task.name}: no embedded generator {name!r}; there is: {', '.join(TASKS)}")
    train, dev = _examples(name)
    _check_labels(task, {example.label for example in train})
    return _rows(task, train, "train"), _rows(task, dev, "dev")


@lru_cache
def _examples(name: str) -> tuple[Group, Group]:
    train: Group = []
    dev: Group = []
    for groups in TASKS[name](seeds.numpy_generator(SEED, f"embedded/{name}")):
        held_out = round(DEV_SHARE * len(groups))
        dev += [example for group in groups[:held_out] for example in group]
        train += [example for group in groups[held_out:] for example in group]
    return train, dev


def _check_labels(task: TaskParams, generated: set[str]) -> None:
    if set(task.labels) != generated:
        raise DataError(
            f"task {task.name}: the generator {task.embedded} gives the labels {sorted(generated)}, "
            f"but task.labels is {list(task.labels)}; use the generator's names"
        )


def _rows(task: TaskParams, examples: Group, split: str) -> Rows:
    return Rows(
        ids=tuple(f"{split}-{number}" for number in range(len(examples))),
        texts_a=tuple(example.text for example in examples),
        texts_b=None,
        labels=np.array([task.labels.index(example.label) for example in examples], dtype=np.int64),
        groups=tuple(example.group for example in examples),
    )
