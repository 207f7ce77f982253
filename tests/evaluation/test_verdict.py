"""The word for a row: every case by hand, and a table's rows from real predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mase.evaluation.declaration import RowParams, TableParams
from mase.evaluation.significance import Comparison
from mase.evaluation.summaries import PLACEBO, CellSummary
from mase.evaluation.tables import build_table
from mase.evaluation.verdict import line, verdict, verdicts

METHOD = RowParams(label="MASE", group="method", overlays=("methods/mase",))
CONTROL = RowParams(label="Random", group="control", placebo=True, overlays=("controls/random_towers",))


def cell(low: float, high: float, p: float, *marks: str) -> CellSummary:
    found = Comparison((low + high) / 2, low, high, p, 1.43 * (high - low) / 2)
    return CellSummary("MASE", "looks", 2, {0: 0.9, 1: 0.9}, 200, found, p, marks)


CASES = [
    (METHOD, cell(0.002, 0.02, 0.01), 2, "gain"),
    (METHOD, cell(0.002, 0.02, 0.01), 0, "gain, cause open"),
    (METHOD, cell(0.002, 0.02, 0.01, PLACEBO), 2, "placebo-equal"),
    (CONTROL, cell(0.002, 0.02, 0.01), 2, "placebo-equal"),
    (METHOD, cell(-0.02, -0.002, 0.01), 2, "loss"),
    (METHOD, cell(-0.004, 0.005, 0.8), 2, "no difference"),
    (METHOD, cell(-0.004, 0.006, 0.8), 2, "underpowered"),
    (METHOD, cell(-0.006, 0.004, 0.8), 2, "underpowered"),
    # A placebo's equal mean is no finding where nothing is established.
    (METHOD, cell(-0.02, 0.03, 0.6, PLACEBO), 2, "underpowered"),
    # Holm's p counts, not the interval.
    (METHOD, cell(0.001, 0.02, 0.06), 2, "underpowered"),
]


@pytest.mark.parametrize(("row", "found", "placebos", "word"), CASES)
def test_the_word_follows_from_numbers_and_placebos(
    row: RowParams, found: CellSummary, placebos: int, word: str
) -> None:
    said = verdict(row, found, "Text only", placebos=placebos, margin=0.005)
    assert said.word == word
    assert said.detectable == found.comparison.detectable  # type: ignore[union-attr]
    assert "smallest detectable" in line(said) and said.why in line(said)


def test_a_wider_margin_leaves_less_room_for_no_difference() -> None:
    found = cell(-0.02, 0.018, 0.9)
    assert verdict(METHOD, found, "T", placebos=1, margin=0.02).word == "no difference"
    assert verdict(METHOD, found, "T", placebos=1, margin=0.019).word == "underpowered"


def test_without_a_comparison_the_reason_is_given() -> None:
    nothing = CellSummary("MASE", "looks", 2, {}, reason="not run")
    said = verdict(METHOD, nothing, "Text only", placebos=0, margin=0.005)
    assert (said.word, line(said)) == ("no result", "not run")


def test_every_row_of_a_table_is_judged(
    study: Any, declare: Callable[..., TableParams], flipped: Callable[..., Any]
) -> None:
    labels = np.arange(600) % 2
    shares = {"Text": 0.4, "Same": 0.4, "Random": 0.15, "Best": 0.05, "MASE": 0.15}
    for number, (name, wrong) in enumerate(shares.items()):
        study.add(name, "looks", labels, flipped(labels, wrong, number))
    table = declare(
        ["looks"],
        [
            {"label": "Text", "group": "reference"},
            {"label": "Same"},
            {"label": "Random", "group": "control", "placebo": True},
            {"label": "Best"},
            {"label": "MASE"},
        ],
    )
    found = {v.row: v.word for v in verdicts(build_table(table, study.cells, load=study.load, resamples=500))}
    assert "Text" not in found
    assert found["Best"] == "gain"
    assert found["Random"] == "placebo-equal" and found["MASE"] == "placebo-equal"
    assert found["Same"] == "underpowered"  # 600 examples cannot exclude half a point
