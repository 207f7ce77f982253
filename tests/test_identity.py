"""What a unit's name depends on: settings, rows, and the bytes of the models that it reads."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import mase.identity
import mase.model.precision
from mase.artifacts import home
from mase.params import load_params
from mase.proxies import locate
from mase.scenegraph import choice
from mase.units import Unit, identity
from tests.test_units import unit


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


def test_a_matched_head_counts_all_that_it_is_matched_to():
    matched = ("methods/mase", "controls/matched_head")
    plain = unit(overlays=matched).digest
    for wider in ("towers.image.output_width=128", "graph.width=32", "contrastive.head_width=64"):
        assert unit(wider, overlays=matched).digest != plain, wider
    assert unit("fusion.proxy_gate=none", overlays=matched).digest != plain
    assert unit("proxies.pair_mode=joined", overlays=matched).digest == plain, "no pairs in this task"


def test_a_matched_head_of_a_pair_task_counts_how_pairs_are_read(monkeypatch):
    monkeypatch.setattr(mase.identity, "task_data", lambda *_: SimpleNamespace(digest="d"))

    def digest(pair_mode):
        where = ("data.source=files", "data.dir=.", f"proxies.pair_mode={pair_mode}")
        overlays = ("methods/mase", "controls/matched_head")
        return Unit(load_params("mrpc", profile="smoke", overlays=overlays, overrides=where), "").digest

    assert digest("joined") != digest("siamese")


def test_the_parser_and_its_weights_count_where_there_are_graphs(monkeypatch):
    text = ("methods/text",)
    before, without = unit().digest, unit(overlays=text).digest
    assert unit("graph.parser=rules").digest != before
    monkeypatch.setattr(choice, "parser_identity", lambda parser: {"name": parser, "tagger": "retrained"})
    assert unit().digest != before
    assert unit(overlays=text).digest == without


def test_random_towers_are_drawn_anew_for_each_seed():
    assert identity(unit(seed=1).params)["seed"] == 1


def rewrite(path: Path, content: str) -> None:
    """Write a file whose time of change differs from the one before, whatever the clock's grain."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "vocab.txt", "merges.txt", "spiece.model"]
)
def test_a_local_backbone_is_known_by_its_bytes(tmp_path, name):
    for other in ("config.json", "vocab.txt"):
        rewrite(tmp_path / other, "{}")
    local = ("backbone.source=path", f"backbone.ref={tmp_path}")
    before = unit(*local).digest
    assert unit(*local).digest == before
    rewrite(tmp_path / name, "[]")
    assert unit(*local).digest != before


def test_a_packaged_backbone_is_known_by_its_bytes(tmp_path, monkeypatch):
    packaged = unit(backbone="minilm").digest
    assert identity(unit(backbone="minilm").params)["backbone"]["package"]["model.safetensors"]
    rewrite(tmp_path / "config.json", "{}")
    monkeypatch.setattr(locate, "models_of_package", lambda _: [tmp_path])
    assert unit(backbone="minilm").digest != packaged


TOWER = ("towers.image=clip-vit-b32", "modalities=[text, image]")


@pytest.mark.parametrize("field", ["ref", "pretrained"])
def test_a_local_tower_is_known_by_its_bytes_wherever_it_is_found(field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = (*TOWER, f"towers.image.{field}=tower.safetensors")
    missing = unit(*named).digest
    store = home() / "checkpoints"
    store.mkdir(parents=True)
    rewrite(store / "tower.safetensors", "weights")
    found = unit(*named).digest
    assert found != missing
    rewrite(store / "tower.token_ids.json", "[1]")
    cut = unit(*named).digest
    assert cut != found
    rewrite(store / "tower.safetensors", "WEIGHTS")
    assert unit(*named).digest not in (found, cut)
    elsewhere = tmp_path / "renamed.safetensors"
    rewrite(elsewhere, "WEIGHTS")
    rewrite(tmp_path / "renamed.token_ids.json", "[1]")
    assert unit(*TOWER, f"towers.image.{field}={elsewhere}").digest == unit(*named).digest, (
        "paths do not count"
    )


def test_a_folder_of_a_tower_counts_with_config_and_tokenizer(tmp_path):
    rewrite(tmp_path / "model.safetensors", "weights")
    rewrite(tmp_path / "merges.txt", "a b")
    named = (*TOWER, "towers.image.format=huggingface", f"towers.image.ref={tmp_path}")
    seen = {unit(*named).digest}
    for name in ("merges.txt", "config.json", "model.safetensors"):
        rewrite(tmp_path / name, "other")
        seen.add(unit(*named).digest)
    assert len(seen) == 4


def test_the_text_encoder_of_a_package_is_known_by_its_bytes():
    params = unit(overlays=("methods/mase", "controls/text_encoder")).params
    assert "model.safetensors" in identity(params)["towers"]["image"]["ref"]


def test_the_precision_counts_as_what_it_means_here(monkeypatch):
    for has_bf16 in (True, False):
        monkeypatch.setattr(
            mase.model.precision.torch.cpu, "get_capabilities", lambda b=has_bf16: {"avx512_bf16": b}
        )
        monkeypatch.setattr(mase.model.precision.torch.cuda, "is_available", lambda: False)
        auto, same = unit("training.precision=auto"), "bf16" if has_bf16 else "fp32"
        assert auto.digest == unit(f"training.precision={same}").digest
    alone = {"overlays": ("methods/mc_ptm_image",)}
    assert unit("training.precision=bf16", **alone).digest == unit("training.precision=fp32", **alone).digest


def test_one_file_read_as_two_open_clip_models_is_two_towers(tmp_path):
    rewrite(tmp_path / "weights.pt", "bytes")
    here = ("towers.image.format=open_clip", f"towers.image.pretrained={tmp_path / 'weights.pt'}")
    names = {unit(*here, f"towers.image.ref={name}").digest for name in ("ViT-B-32", "coca_ViT-B-32")}
    assert len(names) == 2
