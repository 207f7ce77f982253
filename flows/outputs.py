"""Write what finished units amount to: tables in every format, Figures 4 and 5, one report."""

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.request import Plan, PlannedTable, Request, make_plan
from mase.artifacts import home, write_atomically
from mase.evaluation.footnotes import profile_notes
from mase.evaluation.pictured import pictured_units
from mase.evaluation.plan import Cell
from mase.evaluation.plots import allocations, figure4
from mase.evaluation.render import FORMATS
from mase.evaluation.report import Report, ReportFigure, write_report
from mase.evaluation.report_card import card_of_table
from mase.evaluation.report_provenance import unit_facts
from mase.evaluation.tables import Table, build_table
from mase.model_card import ModelCard
from mase.tracking import Tracker

CAPTION = (
    "Allocation weights over the EM iterations (mean over seeds, band of one standard deviation; "
    "dotted: uniform), and the information that they follow (one standard error)."
)

Files = dict[str, dict[str, str]]


def report_folder(plan: Plan) -> Path:
    """Return the folder of a plan's tables; the same request always writes to the same one."""
    names = "+".join(table.declaration.name for table in plan.tables)
    return home() / "reports" / f"{names}-{plan.request.profile}-{plan.digest()[:8]}"


def finished_tables(plan: Plan, failures: Sequence[str] = ()) -> list[Table]:
    """Build the tables that a plan shows from whatever of it is done."""
    notes = [*profile_notes(plan.request.profile), *(f"failed: {line}" for line in failures)]
    return [build_table(t.declaration, t.cells, notes=notes) for t in plan.tables if t.shown]


def write_tables(request: dict[str, Any], failures: list[str]) -> Files:
    """Write the tables and figures of a request; return table -> kind of file -> path."""
    plan = make_plan(Request.from_json(request))
    return write_outputs(plan, finished_tables(plan, failures))


def write_outputs(plan: Plan, tables: Sequence[Table]) -> Files:
    """Write tables, figures and the report of a plan; return table -> kind of file -> path."""
    folder = report_folder(plan)
    files: Files = {planned.declaration.name: {} for planned in plan.tables}
    for table in tables:
        for suffix, render in FORMATS.items():
            path = folder / f"{table.declaration.name}.{suffix}"
            write_atomically(path, render(table))
            files[table.declaration.name][suffix] = str(path)
    figures = []
    for planned in plan.tables:
        figures += _write_figure(planned, folder, files[planned.declaration.name])
        if "5" in plan.request.figures:
            figures += _write_figure5(planned, folder, files[planned.declaration.name])
    if plan.request.vectors is not None:
        figures += _write_vectors(plan, folder, files[plan.tables[0].declaration.name])
    report = Report(
        title=" and ".join(planned.declaration.title for planned in plan.tables),
        tables=tables,
        figures=figures,
        cards=_cards(plan, tables),
        facts=unit_facts(plan.cells()),
        command=shlex.join(command_of(plan.request)),
        links={kind: path for kinds in files.values() for kind, path in kinds.items()},
    )
    write_report(folder / "report.html", report)
    for kinds in files.values():
        kinds["report"] = str(folder / "report.html")
    return files


def _cards(plan: Plan, tables: Sequence[Table]) -> list[ModelCard]:
    """Return the model card of each table's primary row, as far as any of it is trained."""
    cells = {planned.declaration.name: planned.cells for planned in plan.tables}
    cards = [card_of_table(table, cells[table.declaration.name]) for table in tables]
    return [card for card in cards if card is not None]


def _write_figure(planned: PlannedTable, folder: Path, files: dict[str, str]) -> list[ReportFigure]:
    """Draw Figure 4 of a table's primary row, if any of it is done."""
    frames = allocations(planned.cells, planned.declaration.primary)
    if not frames:
        return []
    drawn = figure4(frames, folder, f"figure4-{planned.declaration.name}")
    files |= {"figure4": str(drawn.image), "figure4_data": str(drawn.data)}
    title = f"Figure 4: {planned.declaration.primary}, {planned.declaration.title}"
    return [ReportFigure(title, drawn.image, CAPTION)]


def _write_figure5(planned: PlannedTable, folder: Path, files: dict[str, str]) -> list[ReportFigure]:
    """Draw Figure 5 of each task, from the units that are done and keep their model."""
    from mase.evaluation.embedding_plot import CAPTION as ABOUT
    from mase.evaluation.embedding_plot import figure5
    from mase.unit_features import pictured_features  # brings in the models

    figures = []
    for task, units in pictured_units(planned.declaration, planned.cells).items():
        rows = pictured_features(units)
        if rows:
            title = next(iter(units.values()))[0].params.task.title
            drawn = figure5(title, rows, folder, f"figure5-{planned.declaration.name}-{task}")
            files |= {f"figure5-{task}": str(drawn.image), f"figure5-{task}_data": str(drawn.data)}
            figures.append(ReportFigure(f"Figure 5 (a): {title}", drawn.image, ABOUT))
    return figures


def _write_vectors(plan: Plan, folder: Path, files: dict[str, str]) -> list[ReportFigure]:
    """Draw the user's vectors beside the proxies of the first table's primary row."""
    from mase.named_proxies import compare_vectors  # brings in the towers

    table = plan.tables[0]
    units = [u for cell in table.cells if cell.row == table.declaration.primary for u in cell.units]
    if not units:
        return []
    figures = []
    for source, drawn, about in compare_vectors(
        units[0].params, Path(str(plan.request.vectors)), folder, "figure5b"
    ):
        files |= {f"figure5b-{source}": str(drawn.image), f"figure5b-{source}_data": str(drawn.data)}
        figures.append(ReportFigure(f"Figure 5 (b): vectors of {source}", drawn.image, about))
    return figures


def record_trajectory(cell: Cell, run: Tracker) -> None:
    """Keep a cell's allocation weights over the EM iterations with its run, as a plot and as CSV.

    Cells whose weights are fixed have no trajectory.
    """
    moving = [
        u for u in cell.units if u.params.allocation.mode == "information" and len(u.params.modalities) > 1
    ]
    frames = allocations([replace(cell, units=tuple(moving))], cell.row)
    if frames:
        with tempfile.TemporaryDirectory() as folder:
            drawn = figure4(frames, Path(folder), "trajectory")
            run.artifact(drawn.image)
            run.artifact(drawn.data)


def command_of(request: Request) -> list[str]:
    """Return the command line that makes a request's tables again."""
    words = ["mase", "ablations" if request.only_ablations else "reproduce", "--profile", request.profile]
    for option, values in (
        ("--table", request.tables),
        ("--figure", request.figures),
        ("--set", request.overrides),
        ("--row", request.rows),
    ):
        words += [word for value in values for word in (option, value)]
    words += ["--tasks", ",".join(request.tasks)] if request.tasks is not None else []
    words += ["--backbone", request.backbone] if request.backbone else []
    words += ["--preset", request.preset] if request.preset else []
    words += ["--vectors", request.vectors] if request.vectors else []
    return [*words, "--seeds", str(request.seeds)]
