"""Figure 5 drawn: t-SNE pictures of features, each with the numbers that a picture cannot give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mase import seeds
from mase.artifacts import write_atomically
from mase.evaluation.embedding import (
    PICTURED,
    Features,
    Space,
    comparable,
    has_classes,
    tsne,
    unit_vectors,
)
from mase.evaluation.embedding_numbers import Number, class_numbers, modality_numbers, numbers_frame
from mase.evaluation.plots import STYLE, FigureFiles
from mase.modalities import MODALITIES

# Okabe and Ito's colours in an order that keeps neighbours apart; a marker each for black and white.
PALETTE = (
    ("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#CC79A7", "D"),
    ("#000000", "v"), ("#56B4E9", "P"), ("#D55E00", "X"),
)  # fmt: skip
OTHER = ("0.75", ".")
CAPTION = (
    "t-SNE of features of evaluation texts (first seed; perplexity 30, cosine), by class and by modality. "
    "Sizes of and distances between groups of a t-SNE picture mean nothing; read the numbers under it, means "
    "over seeds with 95% intervals over texts and seeds. Gap: distance of the mean unit vectors, and in "
    "brackets what remains of it if modalities are exchanged at random. Told apart: share that a logistic "
    "regression on these texts names right, out of fold; it says that a line could part them, not that the "
    "model's head does. A concatenation (MPB) has no common space: its modalities are "
    "orthogonal whatever training does, and a small gap there is no alignment. Every proxy is made of a "
    "text, so all of these are distances between texts; they say nothing on images."
)


@dataclass(frozen=True)
class Row:
    """One column of panels: the features of a row of a table on one task, one per seed."""

    label: str
    features: Sequence[Features]

    @cached_property
    def numbers(self) -> list[Number]:
        """Everything that is measured, classes first."""
        return [*class_numbers(self.features), *modality_numbers(self.features)]

    def of_space(self, space: str) -> list[Number]:
        """Return the numbers of one space; "together" for the classes."""
        return [number for number in self.numbers if number.space == space]


def scatter(
    axes: Axes, points: np.ndarray, labels: np.ndarray, named: Mapping[int, tuple[str, tuple[str, str]]]
) -> None:
    """Draw points (k, 2) without axes; `named` says the name, colour and marker of each label (k,)."""
    for value, (name, (colour, marker)) in named.items():
        mine = points[labels == value]
        axes.scatter(mine[:, 0], mine[:, 1], s=9, c=colour, marker=marker, lw=0, alpha=0.75, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")


def class_styles(classes: np.ndarray, names: Sequence[str]) -> dict[int, tuple[str, tuple[str, str]]]:
    """Return class id -> name and style: the most frequent ones in colour, the rest in one grey."""
    ids, counts = np.unique(classes, return_counts=True)
    ranked = ids[np.argsort(-counts, kind="stable")]
    coloured = sorted(ranked[: len(PALETTE)].tolist())
    styles = {c: (_shown(names, c), style) for c, style in zip(coloured, cycle(PALETTE))}
    return styles | {int(c): ("_", OTHER) for c in ranked[len(PALETTE) :]}


def _shown(names: Sequence[str], class_id: int) -> str:
    return names[class_id] if class_id < len(names) else str(class_id)


def _interval(number: Number, percent: bool = False) -> str:
    scale, digits = (100, 0) if percent else (1, 2)
    value, low, high = (f"{scale * x + 0.0:.{digits}f}" for x in (number.value, number.low, number.high))
    return f"{value} [{low}, {high}]".replace("-0.00", "0.00")


def panel_text(numbers: Sequence[Number]) -> str:
    """Return the numbers of one panel, a line each."""
    lines = []
    for n in numbers:
        if n.measure == "silhouette":
            lines.append(f"silhouette {_interval(n)}")
        elif n.measure == "separability":
            lines.append(f"told apart {_interval(n, percent=True)} %  (chance {100 * n.chance:.0f})")
        elif n.pair == "mean":
            lines.append(f"gap {_interval(n)}  ({n.chance:.2f})")
    return "\n".join(lines)


def set_below(axes: Axes, text: str) -> None:
    """Set the numbers of a panel below it."""
    axes.set_xlabel(text, fontsize=7.5, linespacing=1.35)


def pictured(count: int) -> np.ndarray:
    """Return which of `count` texts a picture shows, the same ones every time."""
    return np.sort(seeds.numpy_generator(0, "embedding/pictured").permutation(count)[:PICTURED])


def _class_panel(axes: Axes, row: Row) -> None:
    first, shown = row.features[0], pictured(len(row.features[0]))
    if first.classes is None or not has_classes(first):
        axes.set_axis_off()
        return
    points = tsne(unit_vectors(first.together[shown]))
    scatter(axes, points, first.classes[shown], class_styles(first.classes, first.class_names))
    set_below(axes, panel_text(row.of_space("together")))


def _modality_panel(axes: Axes, row: Row, space: Space) -> None:
    first, shown = row.features[0], pictured(len(row.features[0]))
    if space not in first.spaces() or len(first.modalities) < 2:
        axes.set_axis_off()
        return
    points = comparable(first, space)[:, shown]
    present = [m for m in MODALITIES if m in first.modalities]
    labels = np.repeat(np.arange(len(present)), len(shown))
    styles = {i: (m, STYLE[m]) for i, m in enumerate(present)}
    scatter(axes, tsne(points.reshape(-1, points.shape[-1])), labels, styles)
    apart = "\nno common space: orthogonal by construction" if space == "concatenated" else ""
    set_below(axes, panel_text(row.of_space(space)) + apart)


def draw_figure5(title: str, rows: Sequence[Row]) -> Figure:
    """Draw one task: a column per row of the table; lines by class, by modality, and in Eq. 8's space."""
    lines = ["by class"] * any(has_classes(row.features[0]) for row in rows)
    lines += ["by modality"]
    lines += ["by modality,\nin the space of Eq. 8"] * any(row.features[0].contrastive for row in rows)
    figure, grid = plt.subplots(
        len(lines), len(rows), figsize=(2.2 + 3.1 * len(rows), 0.9 + 3.5 * len(lines)),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    figure.suptitle(title, fontsize=11)
    for column, row in enumerate(rows):
        count = len(row.features)
        grid[0][column].set_title(f"{row.label}  ({count} seed{'s' * (count != 1)})", fontsize=9)
        for line, part in enumerate(lines):
            if part == "by class":
                _class_panel(grid[line][column], row)
            elif part == "by modality":
                _modality_panel(grid[line][column], row, row.features[0].space)
            else:
                _modality_panel(grid[line][column], row, "contrastive")
    for line, part in enumerate(lines):
        _legend(grid[line], part)
    return figure


def _legend(panels: Sequence[Axes], title: str) -> None:
    """Set one legend beside a line of panels, of all that any of them shows."""
    found: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in found}
    panels[-1].legend(
        list(found.values()), list(found), title=title, fontsize=8, title_fontsize=8, alignment="left",
        loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, markerscale=1.6,
    )  # fmt: skip


def figure5(title: str, rows: Sequence[Row], folder: Path, name: str) -> FigureFiles:
    """Write one task's picture as `<name>.png` and its numbers as `<name>.csv`.

    Args:
        title: of the task.
        rows: with features of at least one seed each.
    """
    numbers = {(title, row.label): row.numbers for row in rows}
    files = FigureFiles(folder / f"{name}.png", folder / f"{name}.csv")
    write_atomically(files.data, numbers_frame(numbers).to_csv(index=False, float_format="%.6g"))
    save_figure(draw_figure5(title, rows), files.image)
    return files


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture and let go of it."""
    try:
        figure.savefig(path, dpi=160)
    finally:
        plt.close(figure)
