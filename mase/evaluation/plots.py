"""Figure 4: how the allocation weights move over the EM iterations, and the information behind them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mase.artifacts import write_atomically
from mase.errors import ArtifactError
from mase.evaluation.plan import Cell, unique_units
from mase.modalities import MODALITIES
from mase.units import Unit, UnitResult, load_result

ALLOCATION = "allocation.csv"
# Okabe and Ito's colours, told apart with any colour vision; a marker each for black and white.
STYLE = {
    "text": ("#000000", "o"),
    "image": ("#0072B2", "s"),
    "audio": ("#D55E00", "^"),
    "video": ("#009E73", "D"),
}
PER_LINE = 4  # panels in a line of the figure


@dataclass(frozen=True)
class FigureFiles:
    """Where a figure and the numbers behind it are."""

    image: Path
    data: Path


def read_allocation(folder: Path) -> pd.DataFrame:
    """Read a unit's allocation: iteration, modality, weight, information, information_se.

    Raises:
        ArtifactError: if the file is missing, broken or names an unknown modality.
    """
    path = folder / ALLOCATION
    columns = ["iteration", "modality", "weight", "information", "information_se"]
    try:
        frame = pd.read_csv(path)[columns]
    except (OSError, ValueError, KeyError) as cause:
        raise ArtifactError(f"{path}: no readable allocation ({cause}); delete {folder}") from cause
    unknown = sorted(set(frame["modality"]) - set(MODALITIES))
    if unknown:
        raise ArtifactError(f"{path}: unknown modalities {unknown}; delete {folder}")
    return frame


def summarise_allocations(frames: Mapping[str, Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """Return the mean over seeds of weights and information, per panel, iteration and modality.

    Args:
        frames: panel title -> one allocation per seed.

    Returns:
        task, iteration, modality, seeds, weight, weight_sd (0 for one seed), information and
        information_se, which joins the spread over seeds with each seed's own standard error.
    """
    parts = [f.assign(task=title, seed=i) for title, found in frames.items() for i, f in enumerate(found)]
    joined = pd.concat(parts, ignore_index=True)
    joined["modality"] = pd.Categorical(joined["modality"], MODALITIES, ordered=True)
    joined["variance"] = joined["information_se"] ** 2
    joined["task"] = pd.Categorical(joined["task"], list(frames), ordered=True)
    grouped = joined.groupby(["task", "iteration", "modality"], observed=True)
    result = grouped.agg(
        seeds=("weight", "size"),
        weight=("weight", "mean"),
        weight_sd=("weight", "std"),
        information=("information", "mean"),
        spread=("information", "var"),
        own=("variance", "mean"),
    ).reset_index()
    result["weight_sd"] = result["weight_sd"].fillna(0.0)
    total = (result["own"] + result["spread"].fillna(0.0)) / result["seeds"]
    result["information_se"] = np.sqrt(total)
    return result.drop(columns=["spread", "own"])


def allocations(
    cells: Sequence[Cell], row: str, load: Callable[[Unit], UnitResult | None] = load_result
) -> dict[str, list[pd.DataFrame]]:
    """Return task title -> the allocations of the done units of a row, each unit once, for `figure4`."""
    found: dict[str, list[pd.DataFrame]] = {}
    for unit in unique_units(cell for cell in cells if cell.row == row):
        result = load(unit)
        if result is not None:
            found.setdefault(unit.params.task.title, []).append(read_allocation(result.folder))
    return found


def _draw_weights(axes: Axes, panel: pd.DataFrame, modality: str) -> None:
    colour, marker = STYLE[modality]
    mean, spread = panel["weight"], panel["weight_sd"]
    axes.plot(panel["iteration"], mean, color=colour, marker=marker, ms=4, lw=1.6, label=modality)
    axes.fill_between(panel["iteration"], mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)


def _draw_information(axes: Axes, panel: pd.DataFrame, modality: str, shift: float) -> None:
    colour, marker = STYLE[modality]
    known = panel[panel["information"].notna()]
    bars = {"elinewidth": 0.9, "capsize": 2, "lw": 1.2, "ms": 3.5}
    axes.errorbar(
        known["iteration"] + shift, known["information"], yerr=known["information_se"],
        color=colour, marker=marker, **bars,
    )  # fmt: skip


def _panel(weights: Axes, information: Axes, panel: pd.DataFrame, title: str) -> None:
    present = [m for m in MODALITIES if (panel["modality"] == m).any()]
    for at, modality in enumerate(present):
        mine = panel[panel["modality"] == modality]
        _draw_weights(weights, mine, modality)
        # Side by side, so that the error bars do not hide each other.
        _draw_information(information, mine, modality, 0.08 * (at - (len(present) - 1) / 2))
    weights.axhline(1 / len(present), color="0.6", lw=0.8, ls=":", zorder=0)
    seeds = int(panel["seeds"].max())
    weights.set_title(f"{title}  ({seeds} seed{'s' * (seeds != 1)})", fontsize=10)
    information.set_xlabel("EM iteration")
    last = int(panel["iteration"].max())
    for axes in (weights, information):
        axes.set_xlim(-0.4, last + 0.4)
        axes.set_xticks(range(0, last + 1, max(1, last // 5)))
        axes.grid(axis="y", color="0.92", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    information.set_ylim(bottom=min(0.0, information.get_ylim()[0]))


def draw_figure4(summary: pd.DataFrame) -> Figure:
    """Draw weights (above) and information (below), one column of panels per task."""
    titles = list(summary["task"].cat.categories)
    width = min(len(titles), PER_LINE)
    lines = -(-len(titles) // width)
    figure, grid = plt.subplots(
        2 * lines, width, figsize=(1.2 + 2.9 * width, 0.8 + 4.8 * lines), squeeze=False, layout="constrained"
    )
    for at, title in enumerate(titles):
        line, column = divmod(at, width)
        _panel(grid[2 * line][column], grid[2 * line + 1][column], summary[summary["task"] == title], title)
        if column == 0:
            grid[2 * line][0].set_ylabel("allocation weight z")
            grid[2 * line + 1][0].set_ylabel("information [nats]")
    top = summary["weight"].add(summary["weight_sd"]).max()
    for at in range(lines * width):
        line, column = divmod(at, width)
        grid[2 * line][column].set_ylim(0, 1.08 * top)
        if at >= len(titles):
            grid[2 * line][column].set_visible(False)
            grid[2 * line + 1][column].set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def figure4(frames: Mapping[str, Sequence[pd.DataFrame]], folder: Path, name: str = "figure4") -> FigureFiles:
    """Write Figure 4 as `<name>.png` and its numbers as `<name>.csv`.

    Args:
        frames: panel title -> one allocation per seed; at least one panel. See `allocations`.

    Weights: mean over seeds with a band of one standard deviation; dotted: uniform.
    Information: mean with one standard error, over seeds and the information slice.
    """
    summary = summarise_allocations(frames)
    files = FigureFiles(folder / f"{name}.png", folder / f"{name}.csv")
    write_atomically(files.data, summary.to_csv(index=False, float_format="%.6g"))
    figure = draw_figure4(summary)
    try:
        figure.savefig(files.image, dpi=160)
    finally:
        plt.close(figure)
    return files
