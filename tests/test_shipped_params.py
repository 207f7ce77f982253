"""Every shipped params file runs: one step in the smoke profile, on real files where it needs them."""

import pytest

from mase.errors import DataError, MissingWeightsError, ParamsError
from mase.params import available, load_params, read_named
from mase.units import Unit, train

ONE_STEP = ("training.max_steps=1", "allocation.iterations=1")
NOT_SHARED = {"vqa_v2_regions": "train2014_regions.npz", "mnli_mm": "dev_mismatched.tsv"}
# Methods of one family; `tests/baselines/` trains them.
OF_A_FAMILY = ("vilbert", "vilbert_mase", "conceptbert", "conceptbert_mase", "zero_shot")
ABSENT_BACKBONES = tuple(
    b for b in available("backbones") if read_named("backbones", b)["source"] in ("hub", "path")
)


def one_step(task="looks", *, overlays=(), overrides=(), **settings):
    params = load_params(
        task, profile="smoke", overlays=overlays, overrides=(*ONE_STEP, *overrides), **settings
    )
    result = train(Unit(params, "one step"))
    assert result.trained and result.counts["steps"] == 1
    return result


@pytest.mark.parametrize("preset", available("presets"))
def test_presets(preset):
    assert one_step(preset=preset).allocation


@pytest.mark.parametrize(
    "overlay", [f"{k}/{n}" for k in ("methods", "ablations", "controls") for n in available(k)]
)
def test_overlays(overlay):
    base = () if overlay.startswith("methods/") else ("methods/mase",)
    if overlay.removeprefix("methods/") in OF_A_FAMILY:
        with pytest.raises(ParamsError, match="cannot do looks, a classification task"):
            one_step(overlays=(overlay,))
        return
    if overlay == "controls/text_encoder_matched":  # its towers are made by benchmarks/matched_towers.py
        with pytest.raises(MissingWeightsError, match="matched-image"):
            one_step(overlays=(*base, overlay))
        return
    assert one_step(overlays=(*base, overlay)).metrics


@pytest.mark.parametrize("task", available("tasks"))
def test_tasks(task, shared_data):
    overrides = ("data.max_train_rows=120",)
    if read_named("tasks", task).get("embedded") is None:
        overrides += ("data.source=files", f"data.dir={shared_data}")
    if task in NOT_SHARED:
        with pytest.raises(DataError, match=f"{NOT_SHARED[task]} not found"):
            one_step(task, overrides=overrides)
        return
    assert one_step(task, overrides=overrides).counts["evaluation"] > 0


@pytest.mark.parametrize("backbone", available("backbones"))
def test_backbones(backbone):
    if backbone in ABSENT_BACKBONES:
        with pytest.raises(MissingWeightsError, match="--backbone minilm"):
            one_step(backbone=backbone)
    else:
        assert one_step(backbone=backbone).metrics


@pytest.mark.parametrize("tower", available("towers"))
def test_towers(tower):
    settings = read_named("towers", tower)
    modality = settings["modality"] if settings["modality"] != "text" else "image"
    overrides = (f"towers.{modality}={tower}", f"modalities=[{modality}]")
    shipped = settings["ref"].startswith("package:")
    if shipped or settings["format"] in ("random", "sentence_encoder"):
        assert one_step(overlays=("methods/mc_ptm_image",), overrides=overrides).metrics
    else:
        with pytest.raises(MissingWeightsError):
            one_step(overlays=("methods/mc_ptm_image",), overrides=overrides)


@pytest.mark.parametrize("profile", ["smoke", "demo", "local", "paper"])
def test_profiles(profile, shared_data):
    overrides = (*ONE_STEP, "data.max_train_rows=120", "data.max_eval_rows=16")
    task = "looks" if profile in ("smoke", "demo") else "sst2"
    if profile == "local":
        overrides += (f"data.dir={shared_data}",)
    params = load_params(task, profile=profile, overrides=overrides)
    if profile == "paper":
        with pytest.raises((DataError, MissingWeightsError), match="hub"):
            train(Unit(params, "paper"))
    else:
        assert train(Unit(params, profile)).metrics
