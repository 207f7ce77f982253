"""Checkpoints are whole or refused."""

import pytest
import torch

from mase.em import checkpoint
from mase.errors import CheckpointFormatError


def saved(folder):
    generator = torch.Generator().manual_seed(0)
    content = {"digest": "d", "model": {"weight": torch.randn(50, 50, generator=generator)}, "history": [1.5]}
    checkpoint.save(folder, content)
    return content, folder / checkpoint.NAME


def test_what_is_saved_is_what_is_loaded_and_the_last_one_stays(tmp_path):
    content, path = saved(tmp_path)
    checkpoint.save(tmp_path, {**content, "digest": "later"})
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None and loaded["digest"] == "later" and loaded["history"] == [1.5]
    assert torch.equal(loaded["model"]["weight"], content["model"]["weight"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert checkpoint.load(tmp_path / "none") is None


def test_one_flipped_bit_anywhere_is_refused(tmp_path):
    content, path = saved(tmp_path)
    whole = path.read_bytes()
    tensor = whole.index(content["model"]["weight"].numpy().tobytes()) + 5000
    pickled = whole.index(b"digest")
    for position in (0, pickled, tensor, *range(10, len(whole), 401), len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointFormatError, match="delete it to start this run afresh"):
            checkpoint.load(tmp_path)
    path.write_bytes(whole)
    assert checkpoint.load(tmp_path) is not None


@pytest.mark.parametrize("kept", [0, 10, 31, 32, 33, 4000, -1])
def test_a_cut_file_is_refused(tmp_path, kept):
    _, path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointFormatError, match="is damaged or no checkpoint"):
        checkpoint.load(tmp_path)


def test_another_version_is_refused(tmp_path, monkeypatch):
    saved(tmp_path)
    monkeypatch.setattr(checkpoint, "VERSION", 99)
    with pytest.raises(CheckpointFormatError, match="not a version 99 checkpoint"):
        checkpoint.load(tmp_path)


def test_a_write_that_fails_leaves_the_last_checkpoint_and_no_debris(tmp_path, monkeypatch):
    _, path = saved(tmp_path)

    def full(*_: object) -> bytes:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(checkpoint, "_digest", full)
        checkpoint.save(tmp_path, {"digest": "new"})
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    (tmp_path / f".{checkpoint.NAME}.abc").write_bytes(b"debris of a killed write")
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None and loaded["digest"] == "d" and len(list(tmp_path.iterdir())) == 1
