"""MC-PTM tuned: the tower trains from its checkpoint, as one function with the frozen row before that."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

import mase
from mase.artifacts import home
from mase.baselines.mc_ptm import TunedTower
from mase.em.loop import Trainer
from mase.em.mstep import parameter_groups
from mase.errors import ParamsError
from mase.identity import identity
from mase.params import Params, available, load_params, read_named
from mase.proxies.build import build_tower
from mase.training import Assembled, assemble
from mase.units import Unit, train
from tests.baselines.saving import saved_and_loaded
from tests.planted import predict_logits

SHIPPED = Path(mase.__file__).parent / "proxies" / "weights"
CLIP = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": 8, "layers": 1, "width": 16, "head_width": 8, "patch_size": 4}
CUSTOM = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "context_length": 16}
MODELS: dict[str, dict[str, Any]] = {
    "Tiny-Plain": {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": CLIP},
    "Tiny-Sigmoid": {"embed_dim": 24, "custom_text": True, "vision_cfg": VISION, "text_cfg": CLIP | CUSTOM},
}


def params_of(*overrides: str, tuned: bool = True, task: str = "looks") -> Params:
    overlay = "methods/mc_ptm_image_tuned" if tuned else "methods/mc_ptm_image"
    return load_params(task, profile="smoke", overlays=(overlay,), overrides=overrides)


def pairs(folder: Path, mode: str, *, tuned: bool) -> Params:
    """Return params of a task of sentence pairs, written into a folder."""
    (folder / "MRPC").mkdir(exist_ok=True)
    head = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    lines = [f"{i % 2}\t1\t2\tthe lamp is {i}\ta dog and {i % 7} spoons\n" for i in range(60)]
    for name in ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt", "train.tsv", "dev.tsv"):
        (folder / "MRPC" / name).write_text(head + "".join(lines))
    chosen = ("data.source=files", f"data.dir={folder}", f"proxies.pair_mode={mode}")
    return params_of(*chosen, tuned=tuned, task="mrpc")


def open_clip_params(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Return tuned params on random weights of a small model that OpenCLIP knows by name."""
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", MODELS)
    torch.manual_seed(0)
    torch.save(open_clip.create_model(name, load_weights=False).state_dict(), folder / "tiny.pt")
    context = MODELS[name]["text_cfg"]["context_length"]
    sizes = {"width": 32, "layers": 2, "heads": 2, "output_width": 24, "context_length": context}
    about = {"format": "open_clip", "ref": name, "pretrained": folder / "tiny.pt", "activation": "gelu"}
    settings = {**sizes, **about, "vocabulary": 49408}
    return params_of(*(f"towers.image.{key}={value}" for key, value in settings.items()))


def backward(run: Assembled) -> None:
    """Fill the gradients of one training batch."""
    rows = np.arange(8)
    run.model.train()
    run.model.task_loss(run.model(run.train.batch(rows)), run.train.labels_of(rows)).backward()


@pytest.mark.parametrize("mode", ["single", "siamese", "joined"])
def test_before_the_first_step_tuned_and_frozen_answer_alike(mode: str, tmp_path: Path) -> None:
    tuned, frozen = (
        assemble(params_of(tuned=way) if mode == "single" else pairs(tmp_path, mode, tuned=way))
        for way in (True, False)
    )
    expected = predict_logits(frozen.model, frozen.evaluation, 16)
    found = predict_logits(tuned.model, tuned.evaluation, 16)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)  # stored proxies are half precision


def test_gradients_reach_the_whole_tower_and_in_the_frozen_row_there_is_none() -> None:
    run = assemble(params_of())
    assert isinstance(run.model, TunedTower)
    backward(run)
    norms = {n: float(p.grad.norm()) for n, p in run.model.named_parameters() if p.grad is not None}
    assert norms.keys() == dict(run.model.named_parameters()).keys()
    assert all(norm > 0 for norm in norms.values())
    groups = parameter_groups(run.model, params_of("training.lr_backbone=3e-5").training)
    tower = {id(p) for p in run.model.tower.parameters()}
    slow = {id(p) for g in groups if g["lr"] == 3e-5 for p in g["params"]}  # type: ignore[attr-defined]
    assert slow == tower and len(tower) == len(norms) - 2  # all but the head's weight and bias
    frozen = assemble(params_of(tuned=False))
    assert {name.split(".")[0] for name, _ in frozen.model.named_parameters()} == {"head"}
    module = build_tower(params_of().towers["image"]).module  # type: ignore[attr-defined]
    assert not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_a_tower_of_open_clip_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = open_clip_params(name, tmp_path, monkeypatch)
    run = assemble(params)
    backward(run)
    trained = {n: p for n, p in run.model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.values())
    assert sum(p.numel() for n, p in trained.items() if n.startswith("tower.")) > 49408 * 32
    saved_and_loaded(run, params, tmp_path / "model", texts=4, tolerance=1e-5)


def blind_tower(folder: Path) -> tuple[str, ...]:
    """Write the image tower with two words made one, so that its vectors cannot tell them apart."""
    weights = load_file(SHIPPED / "trained-image.safetensors")
    tower = build_tower(params_of().towers["image"])
    (dog,), (car,) = (tower.tokenise([word]).ids[0][1:-1] for word in ("dog", "car"))  # type: ignore[attr-defined]
    weights["token_embedding.weight"][dog] = weights["token_embedding.weight"][car]
    save_file(weights, folder / "blind.safetensors")
    shutil.copy(SHIPPED / "trained-image.token_ids.json", folder / "blind.token_ids.json")
    return (f"towers.image.ref={folder / 'blind.safetensors'}",)


def test_it_learns_a_signal_that_the_frozen_tower_cannot_show(tmp_path: Path) -> None:
    (tmp_path / "SST-2").mkdir()
    generator = np.random.default_rng(0)
    for name, count in (("train.tsv", 300), ("dev.tsv", 100)):
        labels = generator.integers(0, 2, count)
        words = [f"the {('dog', 'car')[y]} near a {generator.choice(['tree', 'wall'])}" for y in labels]
        lines = [f"{text} {i}\t{y}\n" for i, (text, y) in enumerate(zip(words, labels, strict=True))]
        (tmp_path / "SST-2" / name).write_text("sentence\tlabel\n" + "".join(lines))
    source = (
        "data.source=files",
        f"data.dir={tmp_path}",
        "data.max_train_rows=300",
        "data.max_eval_rows=100",
    )
    fast = ("training.lr_backbone=3e-3", "training.lr_new=0.01", "training.epochs=6")
    overrides = (*source, *fast, *blind_tower(tmp_path))
    tuned, frozen = (
        train(Unit(params_of(*overrides, tuned=way, task="sst2"), str(way))) for way in (True, False)
    )
    assert tuned.metrics["accuracy"] > 0.95
    assert frozen.metrics["accuracy"] < 0.65


def test_neither_the_order_of_rows_nor_the_size_of_batches_changes_an_answer() -> None:
    run = assemble(params_of())
    one, other = (predict_logits(run.model, run.evaluation, size) for size in (1, 30))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    order = np.random.default_rng(0).permutation(len(run.evaluation))
    run.model.eval()
    with torch.no_grad():
        shuffled = run.model.predicted(run.evaluation.batch(order))["logits"]
    torch.testing.assert_close(shuffled, one[order], atol=1e-5, rtol=0)


def test_a_trained_tower_is_saved_with_the_model(tmp_path: Path) -> None:
    params = params_of("training.epochs=1", "training.lr_backbone=1e-2")
    run = assemble(params)
    before = predict_logits(run.model, run.evaluation, 16)
    Trainer(params, run.model, run.train, run.estimation, digest="saved").run()
    assert (predict_logits(run.model, run.evaluation, 16) - before).abs().max() > 0.1
    loaded, _ = saved_and_loaded(run, params, tmp_path / "model", texts=6, tolerance=1e-5)
    assert isinstance(loaded.model, TunedTower)
    first = build_tower(params.towers["image"]).weights()["ln_final.weight"]  # type: ignore[attr-defined]
    assert not loaded.model.tower.state_dict()["ln_final.weight"].equal(first)


def test_multiple_choice_scores_each_choice(tmp_path: Path) -> None:
    (tmp_path / "csqa").mkdir()
    lines = []
    for i in range(80):
        choices = [{"label": "ABCDE"[k], "text": f"a thing {(i + k) % 9}"} for k in range(5)]
        question = {"stem": f"what is near a lamp {i}", "choices": choices}
        lines.append(json.dumps({"id": str(i), "answerKey": "ABCDE"[i % 5], "question": question}))
    files = read_named("tasks", "commonsense_qa")["files"]
    folder = tmp_path / files["folder"]
    folder.mkdir(exist_ok=True)
    for name in (files["train"], files["dev"]):
        (folder / name).write_text("\n".join(lines) + "\n")
    source = ("data.source=files", f"data.dir={tmp_path}")
    run = assemble(params_of(*source, task="commonsense_qa"))
    frozen = assemble(params_of(*source, task="commonsense_qa", tuned=False))
    found = predict_logits(run.model, run.evaluation, 7)
    assert found.shape == (len(run.evaluation), 5)
    torch.testing.assert_close(found, predict_logits(frozen.model, frozen.evaluation, 7), atol=0.01, rtol=0)


def test_shuffled_proxies_are_shuffled_here_too() -> None:
    tuned, frozen = (assemble(params_of("proxies.shuffle=true", tuned=way)) for way in (True, False))
    expected = predict_logits(frozen.model, frozen.evaluation, 16)
    found = predict_logits(tuned.model, tuned.evaluation, 16)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)
    own = assemble(params_of())
    assert (predict_logits(own.model, own.evaluation, 16) - found).abs().max() > 0.1


def test_towers_without_an_encoder_of_their_own_are_refused(tmp_path: Path) -> None:
    folder = home() / "checkpoints" / "clip_text_vectors"
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", np.ones((2, 512), np.float16))
    (folder / "a.names.txt").write_text("lamp\nriver\n")
    with pytest.raises(ParamsError, match="tower .* cannot be tuned: .* format vectors .* mc_ptm"):
        assemble(params_of("towers.image=clip-vectors"))
    with pytest.raises(ParamsError, match=r"set proxies\.overflow to truncate"):
        params_of("proxies.overflow=chunk_mean")
    with pytest.raises(ParamsError, match="exactly one proxy modality"):
        params_of("modalities=[image,audio]")


def test_the_language_model_is_no_part_of_a_tuned_towers_identity() -> None:
    assert identity(params_of("backbone.max_length=31")) == identity(params_of("backbone.max_length=32"))
    assert identity(params_of()) != identity(params_of(tuned=False))


def test_each_tower_has_both_rows() -> None:
    methods = available("methods")
    for tower in ("image", "audio", "video"):
        frozen, tuned = (read_named("methods", f"mc_ptm_{tower}{end}") for end in ("", "_tuned"))
        assert f"mc_ptm_{tower}_tuned" in methods
        differing = {key for key in frozen if frozen[key] != tuned[key]}
        assert differing == {"about", "method"} and tuned["modalities"] == [tower]
