"""Units: what their name depends on, and that finished work is not repeated."""

import json

import pytest

from mase.errors import ArtifactError
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


def test_the_label_titles_notes_and_evaluation_batches_do_not_count():
    base = unit()
    assert Unit(base.params, "another label").digest == base.digest
    for same in ("task.title=X", "task.note=X", "training.eval_batch_size=7", "training.checkpoint_every=9"):
        assert unit(same).digest == base.digest, same


@pytest.mark.parametrize(
    "change",
    [
        "training.lr_new=0.02",
        "contrastive.tau=0.5",
        "allocation.floor=0.01",
        "graph.heads=2",
        "proxies.shuffle=true",
        "towers.image=random-image",
        "data.max_train_rows=60",
        "data.split_seed=1",
        "modalities=[text, image]",
        "backbone.max_length=20",
    ],
)
def test_what_changes_numbers_changes_the_name(change):
    assert unit(change).digest != unit().digest
    assert unit(seed=1).digest != unit().digest


def test_settings_of_what_a_run_does_not_have_do_not_count():
    text = unit(overlays=("methods/text",))
    for idle in (
        "towers.image=random-image",
        "contrastive.tau=0.5",
        "proxies.shuffle=true",
        "allocation.ema=0.1",
    ):
        assert unit(idle, overlays=("methods/text",)).digest == text.digest, idle
    no_loss = ("methods/mase", "ablations/no_contrastive")
    assert unit("contrastive.tau=0.5", overlays=no_loss).digest == unit(overlays=no_loss).digest


def test_a_matched_head_counts_the_towers_it_is_matched_to():
    matched = ("methods/mase", "controls/matched_head")
    wider = unit("towers.image.output_width=128", overlays=matched)
    assert wider.digest != unit(overlays=matched).digest


def test_a_local_backbone_is_known_by_its_bytes(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    local = ("backbone.source=path", f"backbone.ref={tmp_path}")
    before = unit(*local).digest
    assert unit(*local).digest == before
    (tmp_path / "config.json").write_text('{"changed": 1}')
    assert unit(*local).digest != before


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
