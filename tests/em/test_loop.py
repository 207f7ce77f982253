"""Algorithm 1: schedule, self-balancing on planted signals, resumption."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mase.em.loop import Iteration, Trainer
from mase.errors import CheckpointFormatError, TrainingError
from mase.methods import build_model
from tests.planted import plant, planted_params, predict_logits, trained


def test_the_first_e_step_stores_uniform_and_the_last_block_s_weights_stay():
    params = planted_params()
    planted = plant(params, "image")
    model, weights = trained(params, planted)
    assert list(weights[0].values()) == [0.25] * 4
    assert weights[-1] == weights[-2] == dict(zip(model.modalities, model.allocation.tolist(), strict=True))
    assert len(weights) == params.allocation.iterations + 1


@pytest.mark.parametrize("informative", ["image", "audio", "video"])
def test_the_planted_modality_wins(informative):
    params = planted_params()
    _, weights = trained(params, plant(params, informative))
    final = weights[-1]
    assert max(final, key=final.__getitem__) == informative
    assert final[informative] > 0.7
    assert all(final[m] < 0.15 for m in final if m not in (informative, "text"))


def test_held_out_information_starves_noise_and_training_information_does_not():
    """With training rows the over-fitted head finds 'information' in noise (notes 4.7)."""
    probe = (
        "allocation.head=probe",
        "allocation.calibrate=false",
        "allocation.ema=0.0",
        "allocation.floor=0.0",
    )
    held_out = planted_params(*probe)
    planted = plant(held_out, "image", rows=64)
    _, honest = trained(held_out, planted)
    _, biased = trained(planted_params(*probe, "allocation.estimate_on=train"), planted)
    assert honest[-1]["audio"] + honest[-1]["video"] < 0.1
    assert biased[-1]["audio"] + biased[-1]["video"] > honest[-1]["audio"] + honest[-1]["video"] + 0.2


def test_fixed_weights_stay_uniform():
    params = planted_params(overlays=("methods/mase", "ablations/no_self_balancing"))
    _, weights = trained(params, plant(params, "image"))
    assert all(list(w.values()) == [0.25] * 4 for w in weights)


@pytest.mark.parametrize("head", ["shared", "probe"])
@pytest.mark.parametrize("features", ["pre", "post"])
def test_every_way_to_measure_finds_the_planted_modality(head, features):
    params = planted_params(f"allocation.head={head}", f"allocation.features={features}")
    _, weights = trained(params, plant(params, "audio"))
    assert max(weights[-1], key=weights[-1].__getitem__) == "audio"


def test_the_planted_modality_wins_a_regression():
    params = planted_params("training.epochs=12", family="regression")
    planted = plant(params, "image")
    model, weights = trained(params, planted)
    final = weights[-1]
    assert max(final, key=final.__getitem__) == "image"
    assert final["image"] > 0.6
    predictions = predict_logits(model, planted.test.inputs, 64).squeeze(1)
    assert np.corrcoef(predictions.numpy(), planted.test.labels.numpy())[0, 1] > 0.7


def test_tolerance_stops_the_updates():
    params = planted_params("allocation.tolerance=2.5")
    _, weights = trained(params, plant(params, "image"))
    assert weights[1] != weights[0] and weights[2:] == [weights[1]] * len(weights[2:])


class Stop(Exception):
    pass


def run(
    folder: Path | None, stop_at: int | None, checkpoint_every: int = 1
) -> tuple[list[Iteration], torch.Tensor, list[int], int]:
    """Train 96 steps in 6 blocks; return history, predictions, the steps taken and `first_step`."""
    params = planted_params(f"training.checkpoint_every={checkpoint_every}")
    planted = plant(params, "image")
    model = build_model(params, planted.fitted)
    steps: list[int] = []

    def advance(step: int, _total: int) -> None:
        steps.append(step)
        if step == stop_at:
            raise Stop

    trainer = Trainer(
        params, model, planted.train, planted.estimation, digest="d", state=folder, advance=advance
    )
    history = trainer.run()
    return history, predict_logits(model, planted.test.inputs, 64), steps, trainer.first_step


@pytest.fixture(scope="module")
def undisturbed() -> tuple[list[Iteration], torch.Tensor, list[int], int]:
    return run(None, None)


@pytest.mark.parametrize(
    ("stop_at", "every", "first"), [(1, 1, 0), (37, 1, 32), (60, 1, 48), (37, 4, 0), (95, 2, 64)]
)
def test_a_run_stopped_anywhere_resumes_bit_for_bit(tmp_path, undisturbed, stop_at, every, first):
    """It goes on from its last checkpoint: starting afresh would give the same numbers, but later."""
    history, logits, steps, first_step = undisturbed
    assert steps == list(range(1, 97)) and first_step == 0
    with pytest.raises(Stop):
        run(tmp_path, stop_at, every)
    resumed_history, resumed_logits, resumed_steps, resumed_first_step = run(tmp_path, None, every)
    assert resumed_steps == steps[first:] and resumed_first_step == first
    assert resumed_history == history
    assert torch.equal(resumed_logits, logits)


def test_a_checkpoint_of_another_run_or_a_torn_one_is_refused(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, 37)
    params = planted_params()
    planted = plant(params, "image")
    other = Trainer(
        params,
        build_model(params, planted.fitted),
        planted.train,
        planted.estimation,
        digest="x",
        state=tmp_path,
    )
    with pytest.raises(CheckpointFormatError, match="another run"):
        other.run()
    (tmp_path / "checkpoint.pt").write_bytes(b"PK torn")
    with pytest.raises(CheckpointFormatError, match="delete it"):
        run(tmp_path, None)


def test_a_loss_that_is_not_finite_stops_the_run():
    params = planted_params("allocation.mode=fixed")
    planted = plant(params, "image")
    model = build_model(params, planted.fitted)
    with torch.no_grad():
        model.head.output.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower training.lr_backbone"):
        Trainer(params, model, planted.train, planted.estimation, digest="d").run()


def test_no_training_rows_is_an_error():
    params = planted_params()
    planted = plant(params, "image")
    nothing = planted.train.subset(np.array([], dtype=np.int64))
    with pytest.raises(TrainingError, match="no training rows"):
        Trainer(params, build_model(params, planted.fitted), nothing, planted.estimation, digest="d")


def test_gradients_reach_every_trainable_part_and_nothing_frozen():
    params = planted_params("fusion.proxy_gate=none", "training.epochs=1")
    planted = plant(params, "image")
    model = build_model(params, planted.fitted)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    Trainer(params, model, planted.train, planted.estimation, digest="d").run()
    unchanged = [n for n, p in model.named_parameters() if torch.equal(p, before[n]) and p.abs().sum() > 0]
    assert all("embeddings" in n for n in unchanged), unchanged
