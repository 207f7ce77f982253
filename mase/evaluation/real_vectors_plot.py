"""Figure 5 (b) drawn: vectors that a user gives, and beside them proxies of the same names."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mase.artifacts import write_atomically
from mase.evaluation.embedding import tsne
from mase.evaluation.embedding_plot import PALETTE, save_figure, scatter, set_below
from mase.evaluation.plots import FigureFiles
from mase.evaluation.real_vectors import Agreement, RealVectors


def vectors_caption(given: RealVectors) -> str:
    """Return what may be concluded from a comparison with given vectors."""
    about = {
        "": "The files do not say what these vectors are of; if of texts, distances to proxies are distances "
        "between texts and say nothing on images.",
        "text": "These are vectors of texts: what agrees with them agrees with another text encoder, and "
        "says nothing on images.",
    }
    said = about.get(given.kind, f"These are vectors of {given.kind}s, the only ones that can say so much.")
    return (
        f"{given.source}: given vectors of {len(given.names)} names beside proxies of these names. Colours: "
        "clusters of the given vectors, so a picture whose colours stay together has the same things near "
        f"each other. Two spaces are compared by which things are close, without a map between them. {said}"
    )


def _agreement_text(found: Agreement) -> str:
    near = f"[{100 * found.neighbours_low:.0f}, {100 * found.neighbours_high:.0f}]"
    chance = 100 * found.neighbours_chance
    alike = f"[{found.spearman_low:.2f}, {found.spearman_high:.2f}]"
    lines = [
        f"shared neighbours {100 * found.neighbours:.0f} {near} %  (chance {chance:.0f})",
        f"rank correlation {found.spearman:.2f} {alike}",
        f"silhouette of colours {found.silhouette:.2f}",
    ]
    if found.gap is not None and found.exchanged is not None and found.separability is not None:
        lines.append(
            f"gap {found.gap:.2f} ({found.exchanged:.2f}), told apart {100 * found.separability:.0f} %"
        )
    return "\n".join(lines)


def draw_vectors(
    given: RealVectors, colours: np.ndarray, proxies: Sequence[tuple[Agreement, np.ndarray]]
) -> Figure:
    """Draw given vectors and, beside them, each set of proxies of the same names."""
    panels = 1 + len(proxies)
    figure, grid = plt.subplots(
        1, panels, figsize=(0.4 + 3.4 * panels, 4.3), squeeze=False, layout="constrained"
    )
    styles = {int(c): (f"cluster {c + 1}", style) for c, style in zip(np.unique(colours), cycle(PALETTE))}
    kind = f"vectors of {given.kind}s" if given.kind else "kind not stated"
    grid[0][0].set_title(f"given: {given.source} ({kind})", fontsize=9)
    scatter(grid[0][0], tsne(given.vectors), colours, styles)
    set_below(grid[0][0], f"{len(given.names)} names, width {given.vectors.shape[1]}")
    for axes, (found, vectors) in zip(grid[0][1:], proxies, strict=True):
        axes.set_title(found.of, fontsize=9)
        scatter(axes, tsne(vectors), colours, styles)
        set_below(axes, _agreement_text(found))
    return figure


def figure5_vectors(
    given: RealVectors,
    colours: np.ndarray,
    proxies: Sequence[tuple[Agreement, np.ndarray]],
    folder: Path,
    name: str,
) -> FigureFiles:
    """Write the picture of given vectors beside proxies, and the numbers as CSV."""
    files = FigureFiles(folder / f"{name}.png", folder / f"{name}.csv")
    frame = pd.DataFrame.from_records(
        [{"given": given.source, "kind": given.kind, **f.__dict__} for f, _ in proxies]
    )
    write_atomically(files.data, frame.to_csv(index=False, float_format="%.6g"))
    save_figure(draw_vectors(given, colours, proxies), files.image)
    return files
