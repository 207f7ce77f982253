from typing import Any

import numpy as np
import pytest

from mase.errors import ParamsError
from mase.evaluation.declaration import AVERAGE, TableParams, load_table
from mase.params import available, validate


def content(**changes: Any) -> dict[str, Any]:
    row = {"label": "A", "group": "reference", "overlays": ["methods/text"]}
    return {
        "name": "t", "title": "T", "columns": ["looks"], "reference": "A", "primary": "A", "rows": [row],
    } | changes  # fmt: skip


ROW = content()["rows"][0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"reference": "B"}, "reference 'B' is not the label"),
        ({"rows": [ROW, ROW]}, "occur twice"),
        ({"columns": ["looks", "looks"]}, "distinct"),
        ({"columns": ["average"]}, "distinct"),
        ({"rows": [ROW | {"overlays": []}]}, "needs overlays"),
        ({"rows": [ROW | {"placebo": True}]}, "must be control"),
        ({"rows": [ROW, {"label": "B", "group": "method", "available": False}]}, "note must say why"),
        ({"rows": [ROW | {"paper": {"BERT": {"looks": 1.0}}}]}, "not in quoted"),
        ({"quoted": ["BERT"], "rows": [ROW | {"paper": {"BERT": {"lo": 1.0}}}]}, "unknown columns"),
        ({"averages": {"mine": ["sounds"]}}, "'mine' must have distinct columns"),
        ({"averages": {"mine": ["looks", "looks"]}}, "'mine' must have distinct columns"),
        ({"averages": {"looks": ["looks"]}}, "like an average"),
        ({"titles": {"sounds": "S"}}, "titles names 'sounds'; there is: looks"),
        ({"folds": {"sounds": 5}}, "folds names 'sounds'; there is: looks"),
        ({"folds": {"looks": 1}}, "greater than or equal to 2"),
        ({"row": []}, "did you mean 'rows'"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParamsError, match=problem):
        validate(TableParams, content(**changes), "t.yaml")


def test_every_shipped_table_loads() -> None:
    for name in available("tables"):
        assert load_table(name).name == name
    assert load_table("6") == load_table("table6")
    with pytest.raises(ParamsError, match="no table"):
        load_table("99")


def test_table_6_has_the_papers_rows_and_the_controls() -> None:
    table = load_table("6")
    assert table.columns == ("sst2", "qnli", "qqp", "mnli", "mrpc", "stsb")
    assert sum(len(row.paper) for row in table.rows) == 13  # rows of the printed table
    assert [row.label for row in table.rows if row.placebo] == ["Random towers", "Shuffled proxies"]
    assert {row.label: row.backbones for row in table.rows if row.backbones} == {
        "MPB + prompt learning": ("bert-base", "roberta-base"),
        "MASE + prompt learning": ("bert-base", "roberta-base"),
    }
    assert all(row.available for row in table.rows)
    assert "text-only" not in {base for row in table.rows for base in row.paper}
    assert not table.row(table.reference).paper


def test_the_printed_averages_are_the_means_of_their_cells_but_for_one() -> None:
    differing = []
    for row in load_table("6").rows:
        for base, numbers in row.paper.items():
            cells = [value for column, value in numbers.items() if column != AVERAGE]
            assert len(cells) == 6
            if abs(np.mean(cells) - numbers[AVERAGE]) > 0.0051:
                differing.append((row.label, base, round(float(np.mean(cells)), 2)))
    assert differing == [("Full MASE", "RoBERTa-base", 90.17)]
