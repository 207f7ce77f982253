"""Probes of visual knowledge: an object, and which of a closed set of colours, shapes or materials it has.

MemoryColor, ColorTerm, ObjectShape and ViComTe ask for the most usual property (`obj` of ViComTe;
`alt`, a rare one, is not read). A task's `templates` make sentences of an object: `[object]` is where
it stands, `[blank]` the word that is asked for.

Names of one head noun ("tomato", "cherry tomatoes") form a group, so that no split has a kind of thing
on both sides.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mase.data.classification import position
from mase.data.decoding import REFETCH, decode, malformed
from mase.data.nouns import head_noun
from mase.data.records import Example, Fields, Record, RowError, label_text, text
from mase.data.structured import read_json, read_jsonl
from mase.params import FileColumns, TaskParams
from mase.params.task import BLANK, OBJECT

DISTRIBUTION = "distribution"  # field of a record: label -> how often the object has it
SPELLINGS = {"grey": "gray", "gray": "grey"}
SHARES = 1_000_000  # a distribution in shares is kept in millionths: labels are whole numbers


def phrase(columns: FileColumns, fields: Fields, *, keep_empty: bool) -> str:
    """Return the object with what stands before it: "a lemon", "the inside of a watermelon", "grass".

    Raises:
        RowError: if there is no object.
    """
    name = text(fields, columns.text_a, keep_empty=keep_empty)
    before = "" if columns.article is None else text(fields, columns.article, keep_empty=True)
    return f"{before} {name}".strip()


def filled(template: str, thing: str, blank: str = "") -> str:
    """Return a template's sentence about a thing, with `blank` where the answer would stand."""
    return template.replace(OBJECT, thing).replace(BLANK, blank)


def label_of(task: TaskParams, columns: FileColumns, fields: Fields) -> int:
    """Return the position of a record's label among the task's; "grey" and "gray" are one.

    Raises:
        RowError: if it is none of them.
    """
    name = label_text(fields, columns.label)
    other = SPELLINGS.get(name)
    return position(other if name not in task.labels and other in task.labels else name, task.labels)


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example of classification: the sentence of the one template about its object.

    Raises:
        RowError: if the object is missing or the label is not one of the task's.
    """
    thing = phrase(columns, fields, keep_empty=keep_empty)
    (template,) = task.templates
    return Example(
        (filled(template, thing),),
        None,
        label_of(task, columns, fields),
        group=head_noun(text(fields, columns.text_a, keep_empty=keep_empty)),
    )


def counts_of(task: TaskParams, fields: Fields) -> tuple[int, ...]:
    """Return how often an object has each of the task's labels; empty where the record does not say.

    Raises:
        RowError: if what it says is not a number for each label.
    """
    if DISTRIBUTION not in fields:
        return ()
    found = fields[DISTRIBUTION]
    if not isinstance(found, Mapping) or not all(type(count) in (int, float) for count in found.values()):
        raise RowError("the distribution is not a number for each label", "correct the record")
    names = [next((s for s in (label, SPELLINGS.get(label)) if s in found), None) for label in task.labels]
    if None in names or len(found) != len(task.labels):
        raise RowError(
            f"the distribution is over {', '.join(found)}, not over the task's labels", "correct labels"
        )
    values = [found[name] for name in names]
    whole = all(isinstance(v, int) for v in values)
    return tuple(v if whole else round(SHARES * v) for v in values)


def read_vicomte(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield ViComTe's records (`sub`, `obj`, `alt`), with the mined distribution of the object.

    The official layout is `db/<relation>/<split>.jsonl`, `distributions/<relation>-dist.jsonl` and
    `words/<relation>-words.txt`, whose attributes in alphabetical order are those of the distributions.

    Raises:
        DataError: if a file is missing or malformed, or an object has no distribution.
    """
    root, relation = path.parents[2], path.parent.name
    mined = _distributions(root / "distributions" / f"{relation}-dist.jsonl")
    names = _attributes(root / "words" / f"{relation}-words.txt")
    for line, fields in read_jsonl(path, wanted):
        found = mined.get(fields.get("sub", ""))
        if found is None or len(found) != len(names):
            said = "no distribution" if found is None else f"{len(found)} counts"
            what = f"{said} of {fields.get('sub')!r} for the {len(names)} attributes of {relation}"
            raise malformed(path, line, what, "fetch the folders db, distributions and words of one version")
        yield line, {**fields, DISTRIBUTION: dict(zip(names, found, strict=True))}


def _distributions(path: Path) -> Mapping[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise malformed(path, 1, "not one JSON object of objects' counts", REFETCH)
    return found


def _attributes(path: Path) -> list[str]:
    """Return the attributes; "azure: blue" says that azure is counted as blue."""
    lines = (line for line in decode(path).splitlines() if line.strip())
    return sorted({line.rpartition(":")[2].strip() for line in lines})
