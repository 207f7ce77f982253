"""Requests for several tables: which tasks go where, what has no data, what is shared."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands import reproduce
from flows.outputs import command_of
from flows.plan_view import print_plan
from flows.request import Request, make_plan
from mase.errors import DataError, ParamsError

ROWS = """reference: A
primary: A
rows:
  - {label: A, group: reference, overlays: [methods/text]}
  - {label: Later, group: method, available: false, note: later}
"""


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, str]:
    """Return two tables that share SST-2, which has data; the second has MRPC as well, which has none."""
    for name, columns in (("first", "[sst2]"), ("second", '[mrpc, "mrpc:f1", sst2, "sst2:accuracy"]')):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ntitle: {name}\ncolumns: {columns}\n{ROWS}")
    (tmp_path / "SST-2").mkdir()
    lines = "".join(f"sentence {i}\t{i % 2}\n" for i in range(300))
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "SST-2" / name).write_text(f"sentence\tlabel\n{lines}")
    return str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")


def request(tables: tuple[str, ...], *tasks: str) -> Request:
    overrides = ("data.source=files", f"data.dir={Path(tables[0]).parent}")
    return Request(profile="smoke", tables=tables, tasks=tasks or None, seeds=1, overrides=overrides)


@pytest.mark.usefixtures("mase_home")
def test_a_task_goes_to_the_tables_that_have_it(tables: tuple[str, str]) -> None:
    both = make_plan(request(tables, "sst2"))
    assert [[cell.column for cell in table.cells if cell.units] for table in both.tables] == [
        ["sst2"],
        ["sst2", "sst2:accuracy"],
    ]
    assert len(both.units()) == 1
    (second,) = make_plan(request(tables, "sst2:accuracy")).tables
    assert second.declaration.name == "second"
    with pytest.raises(ParamsError, match="no column 'stsb' in these tables; there is: sst2, mrpc"):
        make_plan(request(tables, "sst2", "stsb"))


@pytest.mark.usefixtures("mase_home")
def test_a_task_without_data_leaves_the_others(
    tables: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(request(tables))
    lost = [cell for table in plan.tables for cell in table.cells if cell.reason]
    assert [(cell.row, cell.column, cell.units) for cell in lost] == [("A", "mrpc", ()), ("A", "mrpc:f1", ())]
    print_plan(plan, False)
    shown = capsys.readouterr().out
    assert "  A: sst2; 0 of 1 done" in shown
    assert "  no data: train.tsv not found" in shown
    assert "1 units, 0 done, 1 to train" in shown
    assert "1 of them are shared by rows or tables, which have 2 places for units" in shown


@pytest.mark.usefixtures("mase_home")
def test_no_data_at_all_is_an_error(tables: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="train.tsv not found"):
        make_plan(request(tables[1:], "mrpc"))


ENSEMBLE = """  - {label: Other, group: method, overlays: [methods/mpb]}
  - {label: Two, group: control, ensemble: {of: Other}}
"""


@pytest.mark.usefixtures("mase_home")
def test_an_asked_row_is_filled_where_it_is_and_need_not_be_in_every_table(
    tables: tuple[str, str],
) -> None:
    Path(tables[1]).write_text(Path(tables[1]).read_text() + ENSEMBLE)
    both = replace(request(tables, "sst2"), rows=("Other",))
    (only,) = make_plan(both).tables
    assert only.declaration.name == "second"
    assert [row.label for row in only.declaration.rows] == ["A", "Other"]
    every = make_plan(replace(both, rows=("Later", "Other")))
    assert [[r.label for r in t.declaration.rows] for t in every.tables] == [
        ["A", "Later"],
        ["A", "Later", "Other"],
    ]
    with pytest.raises(
        ParamsError, match="these tables have no row 'Nobody'; there is: A; Later; Other; Two"
    ):
        make_plan(replace(both, rows=("Other", "Nobody")))
    with pytest.raises(ParamsError, match="table first has no row 'Other'; there is: A; Later"):
        make_plan(replace(both, tables=tables[:1]))


@pytest.mark.usefixtures("mase_home")
def test_an_ensemble_brings_the_row_that_it_is_made_of(tables: tuple[str, str]) -> None:
    Path(tables[1]).write_text(Path(tables[1]).read_text() + ENSEMBLE)
    plan = make_plan(replace(request(tables[1:], "sst2"), rows=("Two",), seeds=2))
    (table,) = plan.tables
    assert [row.label for row in table.declaration.rows] == ["A", "Other", "Two"]
    assert len(plan.units()) == 4  # two rows of two seeds


def test_the_reports_command_makes_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Request(
        profile="smoke",
        tables=("demo",),
        figures=("4",),
        tasks=("looks", "says"),
        seeds=3,
        overrides=("contrastive.tau=0.5",),
        backbone="tiny-random",
        preset="em",
        rows=("MPB", "Random towers"),
    )
    made: list[Request] = []
    monkeypatch.setattr(reproduce, "_carry_out", lambda request, *rest: made.append(request))
    CliRunner().invoke(app, command_of(asked)[1:], catch_exceptions=False)
    assert made == [asked]
