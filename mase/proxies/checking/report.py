"""Check a tower: every measure, each with its baselines beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mase.data.files import read_split
from mase.params import TaskParams, available, read_named, validate
from mase.proxies.checking import names as name_measures
from mase.proxies.checking import retrieval as retrieval_measures
from mase.proxies.checking.metrics import linear_cka
from mase.proxies.checking.names import Agreement
from mase.proxies.checking.neighbours import PROBE_WORDS, nearest
from mase.proxies.checking.retrieval import Retrieval
from mase.proxies.checking.twin import random_twin
from mase.proxies.tower import BatchedTower, Tower
from mase.proxies.training.corpora import audiocaps_clips, coco_pictures
from mase.proxies.training.held_out import split_clips, split_names, split_pictures
from mase.proxies.training.vectors import object_names, probe_names

Encode = Callable[[Sequence[str]], np.ndarray]
SENTENCES = 500  # texts of each corpus on which CKA is measured


@dataclass(frozen=True)
class NameCheck:
    """Agreement with CLIP on one set of names: an encoder per row."""

    constant_cosine: float
    rows: dict[str, Agreement]


@dataclass(frozen=True)
class TowerReport:
    """What a check found; every part that needs a file is empty without a data folder.

    Attributes:
        retrieval: corpus -> encoder -> recall among its held-out pictures or clips.
        candidates: corpus -> how many pictures or clips.
        names: set of names -> agreement with CLIP's vectors.
        cut: corpus -> share of texts longer than the tower's context.
        cka: other tower -> linear CKA on held-out captions (or on the probe words).
        neighbours: probe word -> nearest other probe words.
    """

    tower: str
    modality: str
    digest: str
    width: int
    neighbours: dict[str, list[str]]
    cka: dict[str, float]
    retrieval: dict[str, dict[str, Retrieval]] = field(default_factory=dict)
    candidates: dict[str, int] = field(default_factory=dict)
    names: dict[str, NameCheck] = field(default_factory=dict)
    cut: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return asdict(self)


class _Remembering:
    """An encoder that encodes each text once."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        new = sorted(set(texts) - self._known.keys())
        if new:
            self._known.update(zip(new, self._tower.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def check_tower(
    tower: Tower, data_dir: Path | None = None, others: Mapping[str, Tower] | None = None
) -> TowerReport:
    """Measure a tower on texts that no tower of this package was trained on.

    Args:
        tower: any text tower.
        data_dir: folder of the data sets; without it only neighbours and CKA are measured.
        others: towers to compare spaces with, by name.

    Raises:
        DataError: if a data file is missing or malformed.
    """
    encode = _Remembering(tower)
    encoders: dict[str, Encode] = {"tower": encode, "random": _Remembering(random_twin(tower))}
    compared: dict[str, Encode] = {"random": encoders["random"]}
    compared |= {name: _Remembering(other) for name, other in (others or {}).items()}
    bare = TowerReport(tower.name, tower.modality, tower.digest, tower.width, nearest(encode), {})
    if data_dir is None:
        return replace(bare, cka=_cka(encode, compared, PROBE_WORDS))
    corpora = _held_out(data_dir)
    texts = [group[0] for groups, _ in corpora.values() for group in groups[:SENTENCES]]
    return replace(
        bare,
        cka=_cka(encode, compared, texts),
        retrieval={name: _retrieval(groups, every, encoders) for name, (groups, every) in corpora.items()},
        candidates={name: len(groups) for name, (groups, _) in corpora.items()},
        names=_names(data_dir, encoders),
        cut=_cut(tower, {name: every for name, (_, every) in corpora.items()} | _task_texts(data_dir)),
    )


def _held_out(data_dir: Path) -> dict[str, tuple[list[Sequence[str]], list[str]]]:
    """Return the held-out groups and all texts of each corpus with several captions per thing."""
    pictures, clips = coco_pictures(data_dir), audiocaps_clips(data_dir)
    return {
        "coco_captions": retrieval_measures.held_out_groups(pictures, split_pictures(pictures)[1]),
        "audiocaps": retrieval_measures.held_out_groups(clips, split_clips(list(clips))[1]),
    }


def _retrieval(
    groups: Sequence[Sequence[str]], texts: Sequence[str], encoders: Mapping[str, Encode]
) -> dict[str, Retrieval]:
    rows = {name: retrieval_measures.cosines(encode) for name, encode in encoders.items()}
    rows["tf-idf"] = retrieval_measures.tf_idf(texts)
    return {name: retrieval_measures.measure(groups, similarities) for name, similarities in rows.items()}


def _names(data_dir: Path, encoders: Mapping[str, Encode]) -> dict[str, NameCheck]:
    objects = object_names(data_dir)
    train, held_out, probes = split_names(objects.names, probe_names(data_dir))
    features = {name: name_measures.encoded(encode, objects.names) for name, encode in encoders.items()}
    features["character n-grams"] = name_measures.character_ngrams(objects.names, train)
    return {
        title: NameCheck(
            name_measures.constant_cosine(objects.vectors, train, test),
            {
                name: name_measures.agreement(rows, objects.vectors, train, test)
                for name, rows in features.items()
            },
        )
        for title, test in (("held-out names", held_out), ("probe names", probes))
    }


def _cka(encode: Encode, compared: Mapping[str, Encode], texts: Sequence[str]) -> dict[str, float]:
    own = encode(texts)
    return {name: linear_cka(own, other(texts)) for name, other in compared.items()}


def _task_texts(data_dir: Path) -> dict[str, list[str]]:
    """Return the texts of the development file of every task whose folder is there."""
    texts: dict[str, list[str]] = {}
    for name in available("tasks"):
        task = validate(TaskParams, read_named("tasks", name), name)
        if task.files is None or task.files.dev is None:
            continue
        roots = (Path(data_dir).expanduser(), Path(data_dir).expanduser() / "glue")
        if any((root / task.files.folder / task.files.dev).is_file() for root in roots):
            texts[name] = read_split(task, str(data_dir), "dev")[0].texts()
    return texts


def _cut(tower: Tower, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    if not isinstance(tower, BatchedTower):
        return {}
    return {corpus: float(tower.tokenise(list(found)).truncated.mean()) for corpus, found in texts.items()}
