"""Which rows and units Figure 5 shows, in the shipped tables and in others."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mase.evaluation.declaration import TableParams, load_table
from mase.evaluation.pictured import has_model, pictured_rows, pictured_units
from mase.evaluation.plan import Cell, plan


@pytest.mark.parametrize("name", ["demo", "1", "6"])
def test_the_shipped_tables_show_mpb_mase_and_the_random_placebo(name: str) -> None:
    table = load_table(name)
    mpb, primary, placebo = pictured_rows(table)
    assert mpb.overlays == ("methods/mpb",)
    assert primary.label == table.primary
    assert placebo.placebo and "controls/random_towers" in placebo.overlays


def test_rows_of_another_language_model_are_not_set_beside_each_other(
    declare: Callable[..., TableParams],
) -> None:
    rows = [
        {"label": "Text", "group": "reference"},
        {"label": "MPB", "overlays": ("methods/mpb",), "backbone": "bert-base"},
        {"label": "MASE", "overlays": ("methods/mase",)},
    ]
    assert [row.label for row in pictured_rows(declare(["looks"], rows))] == ["MASE"]


def test_units_are_grouped_by_task_each_once(declare: Callable[..., TableParams]) -> None:
    rows = [{"label": "Text", "group": "reference"}, {"label": "MASE", "overlays": ("methods/mase",)}]
    table = declare(["looks", "moves"], rows)
    cells = plan(table, profile="smoke", seeds=[0, 1])
    twice = [*cells, *(Cell(c.row, f"{c.column}:accuracy", c.units) for c in cells)]
    found = pictured_units(table, twice)
    assert {task: {row: len(units) for row, units in of.items()} for task, of in found.items()} == {
        "looks": {"MASE": 2},
        "moves": {"MASE": 2},
    }


def test_a_unit_keeps_a_model_once_its_params_are_written(tmp_path: Path) -> None:
    unit: Any = SimpleNamespace(folder=tmp_path)
    (tmp_path / "model").mkdir()
    assert not has_model(unit)  # they are written last
    (tmp_path / "model" / "params.yaml").write_text("")
    assert has_model(unit)
