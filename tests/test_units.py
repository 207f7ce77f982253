"""Units: finished work is not repeated, failed work leaves nothing, stopped work resumes."""

import json
from types import SimpleNamespace

import pytest

import mase.training
from mase.errors import ArtifactError, MaseError
from mase.params import load_params
from mase.tracking import MemoryTracker
from mase.units import Unit, load_result, train

QUICK = ("training.max_steps=2", "allocation.iterations=2")


def unit(
    *overrides: str, overlays: tuple[str, ...] = ("methods/mase",), seed: int = 0, **settings: str
) -> Unit:
    params = load_params(
        "looks", profile="smoke", overlays=overlays, overrides=(*QUICK, *overrides), seed=seed, **settings
    )
    return Unit(params, "a label")


def test_a_finished_unit_is_not_trained_again_and_its_record_is_whole():
    tracker = MemoryTracker("seed")
    first = train(unit(), tracker=tracker)
    assert first.trained and first.metrics["accuracy"] > 0
    again = train(unit())
    assert not again.trained and again.metrics == first.metrics
    lines = (first.folder / "allocation.csv").read_text().splitlines()
    assert lines[0] == "iteration,modality,weight,information,information_se"
    assert len(lines) == 1 + 2 * 4
    assert not (first.folder / "state").exists()
    logged = tracker.record.points
    for name in (
        "em/weight/image",
        "em/information/audio",
        "em/diagnostic/collapsed",
        "train/loss/contrastive",
    ):
        assert name in logged, name
    assert set(logged["em/weight/text"]) == {1, 2}


def test_a_result_that_is_not_this_unit_s_is_refused():
    folder = train(unit()).folder
    content = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**content, "digest": "other"}))
    with pytest.raises(ArtifactError, match="belongs to unit other"):
        load_result(unit())
    (folder / "result.json").write_text("{")
    with pytest.raises(ArtifactError, match="delete it"):
        load_result(unit())


def test_asking_for_the_model_later_trains_again_and_keeps_it():
    plain = train(unit())
    kept = train(unit(), keep_model=True)
    assert kept.trained and (kept.folder / "model" / "params.yaml").exists()
    assert kept.metrics == plain.metrics
    assert not train(unit(), keep_model=True).trained


def test_a_metric_that_the_params_name_later_is_scored_from_the_predictions():
    first = train(unit())
    f1 = ("task.metrics=[f1, accuracy]", "task.main_metric=f1")
    later = train(unit(*f1))
    assert not later.trained and later.folder == first.folder
    assert set(later.metrics) >= {"f1", "accuracy"} and later.metrics["accuracy"] == first.metrics["accuracy"]
    (first.folder / "predictions.parquet").write_text("no parquet")
    with pytest.raises(ArtifactError, match="predictions.parquet cannot be read"):
        load_result(unit(*f1))
    assert load_result(unit()) is not None, "what the result says already needs no predictions"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("backbone.freeze_layers=9",), "backbone.freeze_layers: 9, but the model has 2 layers"),
        (("fusion.width=33",), "fusion.width: 33"),
        (("modalities=[text, image]", "towers.image=clip-vip-b32"), "is not there"),
    ],
)
def test_a_unit_that_cannot_be_assembled_leaves_nothing(settings, message):
    broken = unit(*settings)
    with pytest.raises(MaseError, match=message):
        train(broken)
    assert not broken.folder.exists()


def test_a_unit_that_stops_while_it_trains_keeps_what_resumes(monkeypatch):
    class Stopped(Exception):
        pass

    def stop(iteration, _numbers):
        if iteration == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(unit(), on_iteration=stop)
    assert (unit().folder / "state").exists() and (unit().folder / "params.yaml").exists()
    clock = SimpleNamespace(perf_counter=iter((10.0, 12.0)).__next__)
    monkeypatch.setattr(mase.training, "time", clock)
    result = train(unit())
    assert result.counts["steps"] == 2
    assert result.seconds == 2.0, "of this attempt"
    assert result.details["examples_per_second"] == 16 / 2, "the second block, one step of 16 rows"


def test_a_result_says_in_what_precision_it_was_trained():
    assert train(unit("training.precision=bf16")).details["precision"] == "bf16"
