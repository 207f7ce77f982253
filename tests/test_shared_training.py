"""Zero-shot tasks that learn from the same texts share one training, and nothing else does."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

import mase.em.loop
from mase.errors import ArtifactError
from mase.params import Params, load_params
from mase.units import Unit, UnitResult, train

COLOURS = {"bus": "red", "dog": "wet", "lake": "quiet", "boat": "two"}
PROBES = {  # name -> what is asked of which things, with which labels
    "colours": (["[object] [blank]", "is [object] [blank]?"], COLOURS),
    "shapes": (["the shape of a [object] is [blank]"], {"bus": "round", "car": "square", "lake": "round"}),
    "sounds": (["a big [object] sounds [blank]", "some [blank] [object]"], {"dog": "loud", "rain": "quiet"}),
}
QUICK = (
    "data.source=files",
    "data.max_train_rows=60",
    "modalities=[text, image]",
    "allocation.iterations=2",
    "training.max_steps=6",
    "training.batch_size=8",
)
TEXT = ("modalities=[text]", "graph=null", "contrastive.alpha=0")


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write texts to learn from, and three probes that are asked afterwards."""
    folder = tmp_path_factory.mktemp("probes")
    things = list(COLOURS)
    texts = [f"a {COLOURS[t]} {t} near {n} old {things[n % 3]}s" for n in range(30) for t in things]
    lines = [json.dumps({"text": text, "image_id": i}) for i, text in enumerate(texts)]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    for name, (templates, labels) in PROBES.items():
        asked = [json.dumps({"thing": thing, "label": label}) for thing, label in labels.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(asked))
        task = {
            "name": name, "title": name, "family": "cloze", "labels": sorted(set(labels.values())),
            "templates": templates, "metrics": ["accuracy", "majority"], "main_metric": "accuracy",
            "files": {
                "train": "texts.jsonl", "columns": {"text_a": "text", "label": "text"},
                "dev": f"{name}.jsonl", "dev_columns": {"text_a": "thing", "label": "label"},
            },
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
    return folder


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the digests of the units that train, in order."""
    found: list[str] = []
    run = mase.em.loop.Trainer.run

    def counted(self: mase.em.loop.Trainer) -> list[mase.em.loop.Iteration]:
        found.append(self.digest)
        return run(self)

    monkeypatch.setattr(mase.em.loop.Trainer, "run", counted)
    return found


def params_of(probes: Path, name: str, *overrides: str, seed: int = 0) -> Params:
    path, overlays = str(probes / f"{name}.yaml"), ("methods/mase",)
    return load_params(path, profile="smoke", overlays=overlays, overrides=(*QUICK, *overrides), seed=seed)


def written(result: UnitResult) -> tuple[pd.DataFrame, str, dict[str, float], object]:
    """Return what a unit says: predictions, allocation, metrics, losses."""
    frame = pd.read_parquet(result.folder / "predictions.parquet")
    allocation = (result.folder / "allocation.csv").read_text()
    return frame, allocation, result.metrics, result.details["closing"]


@pytest.mark.slow
def test_three_probes_train_once_and_say_what_each_would_alone(
    probes: Path, trainings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = [Unit(params_of(probes, name), name) for name in PROBES]
    shared = [train(unit, keep_model=unit is units[1]) for unit in units]
    assert trainings == [units[0].digest]
    assert [r.details.get("trained_by") for r in shared] == [None, units[0].digest, units[0].digest]
    assert shared[1].counts["steps"] == shared[0].counts["steps"] > 0
    assert shared[1].details["examples_per_second"] == 0
    alone = []
    for unit in units[1:]:
        monkeypatch.setenv("MASE_HOME", str(tmp_path / unit.label))
        alone.append(train(unit))
    assert trainings[1:] == [unit.digest for unit in units[1:]]
    for one, other in zip(shared[1:], alone, strict=True):
        (frame, *rest), (expected, *others) = written(one), written(other)
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)
        assert rest == others


@pytest.mark.parametrize(
    ("overrides", "seed"),
    [
        ((), 1),
        (("training.lr_new=0.002",), 0),
        (("data.split_seed=3",), 0),
        (("modalities=[text, image]",), 0),
    ],
    ids=["seed", "rate", "rows", "method"],
)
def test_what_is_read_or_meant_otherwise_is_trained_apart(
    probes: Path, trainings: list[str], overrides: tuple[str, ...], seed: int
) -> None:
    train(Unit(params_of(probes, "colours", *TEXT), "first"))
    other = train(Unit(params_of(probes, "shapes", *TEXT, *overrides, seed=seed), "other"))
    assert "trained_by" not in other.details and len(trainings) == 2


def test_weights_that_changed_on_disk_are_refused(
    probes: Path, mase_home: Path, trainings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(Unit(params_of(probes, "colours", *TEXT), "first"))
    (weights,) = mase_home.glob("trained/*/weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    monkeypatch.setattr("mase.artifacts._VERIFIED", set())  # as another process sees it
    with pytest.raises(ArtifactError, match="does not match its checksum"):
        train(Unit(params_of(probes, "shapes", *TEXT), ""))


def test_a_training_that_stops_keeps_nothing_and_resumes(
    probes: Path, mase_home: Path, trainings: list[str]
) -> None:
    class Stopped(Exception):
        pass

    def stop(iteration: int, _numbers: dict[str, float]) -> None:
        if iteration == 2:
            raise Stopped

    unit = Unit(params_of(probes, "colours", *TEXT), "first")
    with pytest.raises(Stopped):
        train(unit, on_iteration=stop)
    assert (unit.folder / "state").exists() and not list(mase_home.glob("trained/*/manifest.json"))
    train(unit)
    other = train(Unit(params_of(probes, "shapes", *TEXT), ""))
    assert other.details["trained_by"] == unit.digest and len(trainings) == 2
