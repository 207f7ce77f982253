"""Figure 5 drawn: the panels that it has, the numbers under them, and the files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from mase.evaluation.embedding import Features
from mase.evaluation.embedding_numbers import Number
from mase.evaluation.embedding_plot import (
    CAPTION,
    OTHER,
    Row,
    class_styles,
    draw_figure5,
    figure5,
    panel_text,
)
from mase.evaluation.real_vectors import RealVectors
from mase.evaluation.real_vectors_plot import vectors_caption


def row(label: str, *, contrastive: bool = False, classes: bool = True, space: str = "summed") -> Row:
    generator = np.random.default_rng(0)
    found = {m: generator.normal(size=(30, 6)) for m in ("text", "image")}
    ids = np.arange(30) % 2 if classes else None
    together = found["text"] + (0 if ids is None else ids[:, None])
    other = found if contrastive else None
    return Row(label, [Features(found, together, ids, ("no", "yes"), other, space)])  # type: ignore[arg-type]


def test_the_picture_and_its_numbers_are_written(tmp_path: Path) -> None:
    rows = [row("MPB", space="concatenated"), row("Full MASE", contrastive=True)]
    files = figure5("Looks", rows, tmp_path, "figure5-looks")
    assert files.image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    frame = pd.read_csv(files.data)
    assert set(frame["row"]) == {"MPB", "Full MASE"}
    assert set(frame[frame["row"] == "Full MASE"]["space"]) == {"together", "summed", "contrastive"}
    assert {"value", "low", "high", "chance", "texts", "seeds"} <= set(frame.columns)


def test_a_panel_says_its_numbers_and_a_concatenation_that_it_has_no_common_space() -> None:
    figure = draw_figure5("Looks", [row("MPB", space="concatenated"), row("Full MASE", contrastive=True)])
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 5  # classes and modalities of both rows, Eq. 8's space of one
    texts = [axes.get_xlabel() for axes in shown]
    assert sum("no common space" in text for text in texts) == 1
    assert all("silhouette" in text and "told apart" in text for text in texts)
    assert sum("gap" in text for text in texts) == 3
    assert shown[0].get_title() == "MPB  (1 seed)"
    plt.close(figure)


def test_without_classes_there_are_modalities_alone() -> None:
    figure = draw_figure5("STS-B", [row("Full MASE", classes=False)])
    assert len([axes for axes in figure.axes if axes.axison]) == 1
    plt.close(figure)


def test_numbers_are_printed_as_they_are() -> None:
    def number(measure: str, value: float, pair: str = "", chance: float = 0.0) -> Number:
        return Number("modality", "summed", measure, pair, value, value - 0.1, value + 0.1, chance, 9, 2)

    text = panel_text(
        [
            number("silhouette", -0.001),
            number("separability", 0.5, chance=0.25),
            number("gap", 1.25, "text/image"),
            number("gap", 0.75, "mean", 0.05),
        ]
    )
    assert text.splitlines() == [
        "silhouette 0.00 [-0.10, 0.10]",
        "told apart 50 [40, 60] %  (chance 25)",
        "gap 0.75 [0.65, 0.85]  (0.05)",
    ]


def test_the_most_frequent_classes_have_colours_and_the_rest_is_grey() -> None:
    classes = np.repeat(np.arange(9), np.arange(2, 11))
    styles = class_styles(classes, tuple("abcdefghi"))
    assert [style for _, style in styles.values()].count(OTHER) == 2
    assert styles[8][0] == "i" and styles[0][1] == OTHER


@pytest.mark.parametrize(
    ("kind", "said"), [("", "do not say"), ("text", "says nothing on images"), ("image", "vectors of images")]
)
def test_a_comparison_says_what_the_given_vectors_are_of(kind: str, said: str) -> None:
    assert said in vectors_caption(RealVectors("mine", kind, ("a", "b"), np.eye(2)))
    assert "say nothing on images" in CAPTION
