from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mase.errors import ArtifactError
from mase.evaluation.plots import allocations, draw_figure4, figure4, read_allocation, summarise_allocations
from mase.modalities import MODALITIES


def allocation(shift: float, iterations: int = 3, modalities: tuple[str, ...] = MODALITIES) -> pd.DataFrame:
    uniform = 1 / len(modalities)
    records = [
        (
            t,
            m,
            uniform + shift * (m == "image"),
            np.nan if t == 0 else 0.1 + shift,
            np.nan if t == 0 else 0.02,
        )
        for t in range(iterations + 1)
        for m in modalities
    ]
    return pd.DataFrame(records, columns=["iteration", "modality", "weight", "information", "information_se"])


def test_the_figure_and_its_numbers_are_written(tmp_path: Path) -> None:
    frames = {f"Task {i}": [allocation(0.1), allocation(0.2)] for i in range(3)}
    files = figure4(frames, tmp_path)
    assert files.image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files.image.stat().st_size > 20_000
    data = pd.read_csv(files.data)
    assert len(data) == 3 * 4 * 4
    image = data[(data["task"] == "Task 0") & (data["modality"] == "image") & (data["iteration"] == 3)].iloc[
        0
    ]
    assert image["seeds"] == 2
    assert image["weight"] == pytest.approx(0.25 + 0.15)
    assert image["weight_sd"] == pytest.approx(np.std([0.1, 0.2], ddof=1), rel=1e-4)
    # Two seeds: (own variance + variance over seeds) / 2.
    assert image["information_se"] == pytest.approx(np.sqrt((0.02**2 + 0.005) / 2), rel=1e-4)


def test_one_seed_has_no_band_and_an_unknown_estimate_stays_unknown() -> None:
    summary = summarise_allocations({"T": [allocation(0.1)]})
    assert (summary["weight_sd"] == 0).all()
    assert summary[summary["iteration"] == 0]["information"].isna().all()
    assert summary[summary["iteration"] == 1]["information_se"].tolist() == pytest.approx([0.02] * 4)


def test_panels_show_their_own_modalities_and_the_weights_share_one_scale() -> None:
    frames = {"All": [allocation(0.1)], "Two": [allocation(0.3, modalities=("text", "image"))]}
    figure = draw_figure4(summarise_allocations(frames))
    top = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in top] == ["All  (1 seed)", "Two  (1 seed)"]
    assert len(top[1].get_legend_handles_labels()[1]) == 2
    assert top[0].get_ylim() == top[1].get_ylim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(MODALITIES)


def test_allocations_come_from_the_folders_of_the_done_units(study: Any) -> None:
    labels = np.arange(20) % 2
    study.add("MASE", "looks", labels, lambda seed: labels, seeds=(0, 1), done=(1,))
    study.add("MASE", "looks:accuracy", labels, lambda seed: labels, seeds=(0, 1), done=(1,))
    study.add("Text", "looks", labels, lambda seed: labels)
    allocation(0.1).to_csv(study.root / study.cells[0].units[1].digest / "allocation.csv", index=False)
    found = allocations(study.cells, "MASE", study.load)
    assert {title: len(frames) for title, frames in found.items()} == {"Looks (synthetic)": 1}


@pytest.mark.parametrize("text", [None, "", "iteration,modality\n0,image\n", "a\x00"])
def test_a_damaged_allocation_is_an_error_with_a_remedy(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "allocation.csv").write_text(text)
    with pytest.raises(ArtifactError, match="; delete"):
        read_allocation(tmp_path)


def test_an_unknown_modality_is_an_error(tmp_path: Path) -> None:
    allocation(0.1).replace({"modality": {"audio": "smell"}}).to_csv(tmp_path / "allocation.csv", index=False)
    with pytest.raises(ArtifactError, match="smell"):
        read_allocation(tmp_path)
