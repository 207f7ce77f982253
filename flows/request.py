"""What a reproduction asks for, and the plan that follows from it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from mase.artifacts import digest_of
from mase.errors import ParamsError
from mase.evaluation.declaration import RowParams, TableParams, load_table
from mase.evaluation.pictured import has_model, pictured_rows, pictured_units
from mase.evaluation.plan import Cell, plan, unique_units, with_data
from mase.params import parse_override, read_named
from mase.units import Unit, UnitResult, load_result

DEFAULT_SEEDS = 2
FIGURES = ("4", "5")


@dataclass(frozen=True)
class Request:
    """The parameters of a flow or of `mase reproduce`; JSON-able.

    Attributes:
        tables: names or numbers; none, and no figures: the table that fits the data.
        figures: "4", "5"; without tables, only the rows that the figures show are trained.
        tasks: columns to fill; None: all of each table.
        seeds: how many seeds a cell has: 0, 1, ...
        rows: labels of rows to fill, beside the reference and the primary row; a table that has none of
            them is left out; none: all rows.
        only_ablations: keep the reference, the full method and the ablations.
        vectors: folder of vectors of named things, which Figure 5 sets beside their proxies.
    """

    profile: str = "demo"
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    tasks: tuple[str, ...] | None = None
    seeds: int = DEFAULT_SEEDS
    overrides: tuple[str, ...] = ()
    backbone: str | None = None
    preset: str | None = None
    only_ablations: bool = False
    vectors: str | None = None
    rows: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON, to cross a task's boundary."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Request":
        """Return the request that `to_json` wrote."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return cls(**values)

    def default_table(self) -> str:
        """Return Table 6, or its embedded twin where the data are the embedded ones."""
        source = read_named("profiles", self.profile).get("data", {}).get("source", "embedded")
        for override in self.overrides:
            data = parse_override(override).get("data")
            source = data.get("source", source) if isinstance(data, dict) else source
        return "demo" if source == "embedded" else "6"


@dataclass(frozen=True)
class PlannedTable:
    """A declared table and the cells that fill it; `shown` is false if only its figure is wanted."""

    declaration: TableParams
    cells: tuple[Cell, ...]
    shown: bool = True


@dataclass(frozen=True)
class Plan:
    """Everything that a request asks for."""

    request: Request
    tables: tuple[PlannedTable, ...]

    def cells(self) -> list[Cell]:
        """Return the cells of all tables, those of one task together, since they share its data."""
        every = [cell for table in self.tables for cell in table.cells]
        tasks = dict.fromkeys(cell.column for cell in every)
        return [cell for task in tasks for cell in every if cell.column == task]

    def units(self) -> list[Unit]:
        """Return each unit once, in the order of training."""
        return unique_units(self.cells())

    @cached_property
    def kept(self) -> frozenset[str]:
        """The digests of the units that must keep their model: those that Figure 5 looks into."""
        if "5" not in self.request.figures:
            return frozenset()
        tasks = [pictured_units(table.declaration, table.cells) for table in self.tables]
        rows = [units for of_task in tasks for of_row in of_task.values() for units in of_row.values()]
        return frozenset(unit.digest for units in rows for unit in units)

    def result(self, unit: Unit) -> UnitResult | None:
        """Return the result of a unit that has all that the plan needs of it: where kept, its model too."""
        found = load_result(unit)
        return found if unit.digest not in self.kept or has_model(unit) else None

    def params(self) -> dict[str, Any]:
        """Return the request as the params of the parent run."""
        return self.request.to_json() | {"tables": [table.declaration.name for table in self.tables]}

    def digest(self) -> str:
        """Return what identifies the plan: the request, and the units that it comes to."""
        return digest_of([self.params(), [unit.digest for unit in self.units()]])


def unfinished(plan: Plan) -> list[Unit]:
    """Return the units that have no valid result yet, or no model where Figure 5 needs one."""
    return [unit for unit in plan.units() if plan.result(unit) is None]


def make_plan(request: Request) -> Plan:
    """Turn a request into cells and units.

    Raises:
        ParamsError: if a table, figure, task, profile, overlay or override is wrong.
        DataError: if no cell has data; where some have, the others say why they have none.
    """
    unknown = [name for name in request.figures if name not in FIGURES]
    if unknown:
        raise ParamsError(f"no figure {unknown[0]!r}; there is: {', '.join(FIGURES)}")
    only_figures = bool(request.figures) and not request.tables
    names = request.tables or (request.default_table(),)
    asked = _with_asked_tasks([load_table(name) for name in dict.fromkeys(names)], request.tasks)
    shaped = [_shaped(request, declaration, only_figures) for declaration in asked]
    tables = [_planned(request, table, only_figures) for table in _with_asked_rows(shaped, request.rows)]
    cells = iter(with_data(cell for table in tables for cell in table.cells))
    return Plan(request, tuple(replace(t, cells=tuple(islice(cells, len(t.cells)))) for t in tables))


def _with_asked_tasks(tables: Sequence[TableParams], tasks: Sequence[str] | None) -> Sequence[TableParams]:
    """Return the tables that have any of the asked tasks.

    Raises:
        ParamsError: if a task is in none of them.
    """
    if tasks is None:
        return tables
    for task in tasks:
        if not any(task in (*table.columns, *table.tasks) for table in tables):
            known = dict.fromkeys(name for table in tables for name in (*table.columns, *table.tasks))
            raise ParamsError(f"no column {task!r} in these tables; there is: {', '.join(known)}")
    return [table for table in tables if {*table.columns, *table.tasks} & set(tasks)]


def _shaped(request: Request, declaration: TableParams, only_figures: bool) -> TableParams:
    """Return a table with the rows that the figures or the ablations alone need, if only these are wanted."""
    if only_figures:
        return _with_rows(declaration, _rows_of_figures(declaration, request.figures))
    return ablations_of(declaration) if request.only_ablations else declaration


def _planned(request: Request, declaration: TableParams, only_figures: bool) -> PlannedTable:
    tasks = request.tasks
    if tasks is not None:
        tasks = tuple(task for task in tasks if task in (*declaration.columns, *declaration.tasks))
    cells = plan(
        declaration,
        profile=request.profile,
        seeds=range(request.seeds),
        tasks=tasks,
        overrides=request.overrides,
        backbone=request.backbone,
        preset=request.preset,
    )
    return PlannedTable(declaration, tuple(cells), shown=not only_figures)


def _rows_of_figures(table: TableParams, figures: Sequence[str]) -> list[RowParams]:
    return pictured_rows(table) if "5" in figures else [table.row(table.primary)]


def ablations_of(table: TableParams) -> TableParams:
    """Return a table's reference, primary row and ablations, as a table of its own.

    Raises:
        ParamsError: if the table has no ablations.
    """
    rows = [
        row for row in table.rows if row.group == "ablation" or row.label in (table.reference, table.primary)
    ]
    if not any(row.group == "ablation" for row in rows):
        raise ParamsError(f"table {table.name} has no ablations")
    return _with_rows(table, rows).model_copy(update={"name": f"{table.name}-ablations"})


def _with_asked_rows(tables: Sequence[TableParams], labels: Sequence[str]) -> Sequence[TableParams]:
    """Return the tables that have any of the asked rows, with these, their reference and primary row.

    Raises:
        ParamsError: if a label is in none of them.
    """
    if not labels:
        return tables
    of_tables = {table.name: [row.label for row in table.rows] for table in tables}
    for label in labels:
        if not any(label in known for known in of_tables.values()):
            known = dict.fromkeys(name for names in of_tables.values() for name in names)
            where = f"table {', '.join(of_tables)} has" if len(tables) == 1 else "these tables have"
            raise ParamsError(f"{where} no row {label!r}; there is: {'; '.join(known)}")
    return [_with_needed_rows(t, labels) for t in tables if {*of_tables[t.name]} & {*labels}]


def _with_needed_rows(table: TableParams, labels: Sequence[str]) -> TableParams:
    """Return a table's reference, its primary row, the asked ones, and those that ensembles are of."""
    wanted = {*labels, table.reference, table.primary}
    wanted |= {row.ensemble.of for row in table.rows if row.ensemble is not None and row.label in wanted}
    return _with_rows(table, [row for row in table.rows if row.label in wanted])


def _with_rows(table: TableParams, rows: Sequence[RowParams]) -> TableParams:
    return table.model_copy(update={"rows": tuple(rows)})
