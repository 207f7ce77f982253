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

from mase import ranks
from mase.em.loop import Trainer
from mase.errors import ParamsError
from tests.conftest import ROOT
from tests.em.train_planted import main
from tests.planted import plant, planted_params


def numbers(content: Any) -> np.ndarray:
    """Return every number of a record, in its order; None as not a number."""
    if isinstance(content, dict):
        return np.concatenate([numbers(value) for _, value in sorted(content.items())] or [np.zeros(0)])
    if isinstance(content, list):
        return np.concatenate([numbers(value) for value in content] or [np.zeros(0)])
    return np.array([np.nan if content is None else float(content)])


def launch(folder: Path, family: str, processes: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--module", "tests.em.train_planted", str(folder), family],
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
    launch(tmp_path, family, 2)
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


def test_what_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    params = planted_params()
    planted = plant(params, None, rows=8)
    cloze = params.model_copy(update={"task": params.task.model_copy(update={"family": "cloze"})})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ParamsError, match="not of cloze; use one process a unit"):
        Trainer(cloze, torch.nn.Linear(1, 1), planted.train, planted.estimation, digest="x")  # type: ignore[arg-type]
