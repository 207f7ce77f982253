"""Two processes that share a unit come to the loss, the gradients and the allocation of one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from mase import ranks
from mase.em.loop import Trainer
from mase.errors import ParamsError, TrainingError
from mase.units import train
from tests.conftest import ROOT
from tests.em import share_unit
from tests.em.train_planted import main
from tests.planted import plant, planted_params


def numbers(content: Any) -> np.ndarray:
    """Return every number of a record, in its order; None as not a number."""
    if isinstance(content, dict):
        return np.concatenate([numbers(value) for _, value in sorted(content.items())] or [np.zeros(0)])
    if isinstance(content, list):
        return np.concatenate([numbers(value) for value in content] or [np.zeros(0)])
    return np.array([np.nan if content is None else float(content)])


def launch(module: str, processes: int, *words: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--module", module, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("family", ["classification", "regression"])
def test_two_ranks_do_what_one_process_does(family: str, tmp_path: Path) -> None:
    main(tmp_path, family)
    launch("tests.em.train_planted", 2, str(tmp_path), family)
    alone, first, second = (
        json.loads((tmp_path / name).read_text()) for name in ("0-of-1.json", "0-of-2.json", "1-of-2.json")
    )
    assert first == second
    assert [i["t"] for i in first["history"]] == [1, 2, 3, 4, 5]
    assert first["history"][-1]["losses"]["contrastive"] > 0.1
    np.testing.assert_allclose(numbers(first), numbers(alone), rtol=2e-3, atol=2e-4)


def test_one_process_is_all_of_them() -> None:
    rows = np.array([4, 2, 7])
    mine, share = ranks.portion(rows)
    assert mine.tolist() == [4, 2, 7] and share == 1.0
    features = torch.randn(3, 2, 4, requires_grad=True)
    joined, keys = ranks.joined(features, [("a",), ("b",), ("c",)])
    assert joined is features and keys == [("a",), ("b",), ("c",)]
    assert ranks.gathered("x") == ["x"] and ranks.is_main()


def test_ranks_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(ranks.portion(np.array([9, 8, 7, 6])))
    assert [mine.tolist() for mine, _ in shares] == [[9, 6], [8], [7]]
    assert [share for _, share in shares] == [0.5, 0.25, 0.25]
    monkeypatch.setenv("RANK", "2")
    mine, share = ranks.portion(np.array([9, 8]))
    assert mine.tolist() == [9] and share == 0.0


def test_the_first_rank_decides_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks.decided(lambda: 3) == 3
    sent: list[Any] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(ranks, "device", lambda: torch.device("cpu"))

    def broadcast(values: list[Any]) -> None:
        if ranks.is_main():
            sent[:] = values
        else:
            values[:] = sent

    def refuse() -> int:
        raise TrainingError("in use")

    monkeypatch.setattr(torch.distributed, "broadcast_object_list", broadcast)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert ranks.decided(lambda rank=rank: int(rank)) == 0
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(TrainingError, match="in use"):
            ranks.decided(refuse if rank == "0" else lambda: 4)


def test_a_rank_that_is_done_leaves_the_others(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    assert ranks.summed(torch.tensor(2.0)) == 2.0
    ranks.leave()
    assert not torch.distributed.is_initialized()
    ranks.leave()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ranks_neither_wait_for_a_unit_in_use_nor_train_what_the_first_finds_done(
    mase_home: Path, tmp_path: Path
) -> None:
    done, used = share_unit.units()
    train(done)
    used.folder.mkdir(parents=True)
    with FileLock(used.folder / ".lock"):
        launch("tests.em.share_unit", 2, str(tmp_path))
    assert (
        (tmp_path / "0").read_text()
        == (tmp_path / "1").read_text()
        == "done: False\nused: another process trains used; run this again when it has ended\n"
    )
    assert not (used.folder / "result.json").exists()


def test_what_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    params = planted_params()
    planted = plant(params, None, rows=8)
    cloze = params.model_copy(update={"task": params.task.model_copy(update={"family": "cloze"})})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ParamsError, match="not of cloze; use one process a unit"):
        Trainer(cloze, torch.nn.Linear(1, 1), planted.train, planted.estimation, digest="x")  # type: ignore[arg-type]
