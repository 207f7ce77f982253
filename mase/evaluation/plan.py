"""From a declared table to the units that must be trained for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mase.errors import ParamsError
from mase.evaluation.declaration import RowParams, TableParams
from mase.params import load_params
from mase.units import Unit, UnitResult, load_result


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a row's label, a task, and one unit per seed."""

    row: str
    column: str
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Work:
    """One unit of a plan: whether it is done, and the cells that need it."""

    unit: Unit
    done: bool
    cells: tuple[tuple[str, str], ...]


def shown_columns(table: TableParams, tasks: Sequence[str] | None) -> list[str]:
    """Return the asked tasks in the table's order; all of them for None.

    Raises:
        ParamsError: if a task is not a column of the table.
    """
    unknown = [task for task in tasks or () if task not in table.columns]
    if unknown:
        raise ParamsError(
            f"table {table.name} has no column {unknown[0]!r}; there is: {', '.join(table.columns)}"
        )
    return [column for column in table.columns if tasks is None or column in tasks]


def plan(
    table: TableParams,
    *,
    profile: str,
    seeds: Sequence[int],
    tasks: Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    backbone: str | None = None,
    preset: str | None = None,
) -> list[Cell]:
    """Return the cells of a table, row by row, each with one unit per seed.

    Args:
        tasks: the columns to fill; None fills all.
        seeds: training seeds; the data split does not depend on them, so rows stay paired.
        overrides: `a.b=c`, laid over every row.

    A row that is not available gets cells without units. Cells may share units: two units
    with the same digest are one training run, see `unique_units`.

    Raises:
        ParamsError: if a task, overlay or override is wrong, or there are no or repeated seeds.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ParamsError(f"seeds must be distinct and at least one, got {list(seeds)}")
    columns = shown_columns(table, tasks)

    def unit(row: RowParams, task: str, seed: int) -> Unit:
        params = load_params(
            task,
            profile=profile,
            backbone=row.backbone or backbone,
            preset=preset,
            overlays=row.overlays,
            overrides=(*row.overrides, *overrides),
            seed=seed,
        )
        return Unit(params=params, label=f"{row.label} / {task} / seed {seed}")

    return [
        Cell(row.label, task, tuple(unit(row, task, seed) for seed in seeds) if row.available else ())
        for row in table.rows
        for task in columns
    ]


def unique_units(cells: Iterable[Cell]) -> list[Unit]:
    """Return each unit of the cells once, by digest, in the order of first use."""
    units: dict[str, Unit] = {}
    for cell in cells:
        for unit in cell.units:
            units.setdefault(unit.digest, unit)
    return list(units.values())


def work(cells: Iterable[Cell], load: Callable[[Unit], UnitResult | None] = load_result) -> list[Work]:
    """Return what a plan has to do: each unit once, whether it is done, and who shares it."""
    users: dict[str, list[tuple[str, str]]] = {}
    cells = list(cells)
    for cell in cells:
        for unit in cell.units:
            users.setdefault(unit.digest, []).append((cell.row, cell.column))
    return [Work(unit, load(unit) is not None, tuple(users[unit.digest])) for unit in unique_units(cells)]
