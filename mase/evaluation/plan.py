"""From a declared table to the units that must be trained for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mase.errors import DataError, MissingWeightsError, ParamsError
from mase.evaluation.declaration import RowParams, TableParams, task_of
from mase.evaluation.supplied import Supplied
from mase.params import TowerParams, load_params, read_named
from mase.proxies.locate import HUB_FILES, OPEN_CLIP, find_checkpoint, find_local
from mase.units import Unit, UnitResult, load_result


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a row's label, a column, and one unit per seed, or per seed and fold.

    Attributes:
        column: a task, or task:metric; columns of one task have the same units.
        reason: why there are no units where the row has some; see `with_data`.
        supplied: predictions of a user's file, in the place of units.
    """

    row: str
    column: str
    units: tuple[Unit, ...]
    reason: str = ""
    supplied: Supplied | None = None

    @property
    def asked(self) -> int:
        """How many seeds were asked for; a file is one."""
        return len(self.seeds()) if self.supplied is None else 1

    def seeds(self) -> dict[int, list[Unit]]:
        """Return the units of each seed: one, or one per fold."""
        found: dict[int, list[Unit]] = {}
        for unit in self.units:
            found.setdefault(unit.params.seed, []).append(unit)
        return found


@dataclass(frozen=True)
class Work:
    """One unit of a plan: whether it is done, and the cells that need it."""

    unit: Unit
    done: bool
    cells: tuple[tuple[str, str], ...]


def shown_columns(table: TableParams, tasks: Sequence[str] | None) -> list[str]:
    """Return the asked columns, or all columns of the asked tasks, in the table's order; all for None.

    Raises:
        ParamsError: if one is neither a task nor a column of the table.
    """
    unknown = [name for name in tasks or () if name not in (*table.columns, *table.tasks)]
    if unknown:
        raise ParamsError(
            f"table {table.name} has no column {unknown[0]!r}; there is: {', '.join(table.columns)}"
        )
    return [c for c in table.columns if tasks is None or c in tasks or task_of(c) in tasks]


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
    """Return the cells of a table, row by row, each with one unit per seed, or per seed and fold.

    Args:
        tasks: the tasks or columns to fill; None fills all.
        seeds: training seeds; the data split does not depend on them, so rows stay paired.
        overrides: `a.b=c`, laid over every row.

    A row that is not available (on a task, or with this backbone) gets cells without units. Cells
    may share units: two units with the same digest are one training run, see `unique_units`.

    Raises:
        ParamsError: if a task, overlay or override is wrong, or there are no or repeated seeds.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ParamsError(f"seeds must be distinct and at least one, got {list(seeds)}")
    columns = shown_columns(table, tasks)
    model = backbone or read_named("profiles", profile)["backbone"]

    def unit(row: RowParams, task: str, seed: int, fold: int | None) -> Unit:
        folded = () if fold is None else (f"data.folds={table.folds[task]}", f"data.fold={fold}")
        params = load_params(
            task,
            profile=profile,
            backbone=row.backbone or backbone,
            preset=preset,
            overlays=row.overlays,
            overrides=(*table.overrides, *row.overrides, *overrides, *folded),
            seed=seed,
        )
        part = "" if fold is None else f" / fold {fold}"
        return Unit(params=params, label=f"{row.label} / {task} / seed {seed}{part}")

    def units(row: RowParams, task: str) -> tuple[Unit, ...]:
        if not row.available or row.predictions or task in row.without:
            return ()
        if row.backbones and model not in row.backbones:
            return ()
        folds = range(table.folds[task]) if task in table.folds else (None,)
        return tuple(unit(row, task, seed, fold) for seed in seeds for fold in folds)

    def supplied(row: RowParams, task: str) -> Supplied | None:
        if task not in row.predictions:
            return None
        chosen = (*table.overrides, *row.overrides, *overrides)
        params = load_params(
            task, profile=profile, backbone=backbone, preset=preset, overrides=chosen, seed=seeds[0]
        )
        return Supplied(params, Path(row.predictions[task]).expanduser())

    cells = []
    for row in table.rows:
        of_task = {task: units(row, task) for task in dict.fromkeys(map(task_of, columns))}
        files = {task: supplied(row, task) for task in of_task}
        cells += [
            Cell(row.label, column, of_task[task_of(column)], supplied=files[task_of(column)])
            for column in columns
        ]
    return cells


def with_data(cells: Iterable[Cell]) -> list[Cell]:
    """Take the units from cells whose data or checkpoint is not there, and say why in their `reason`.

    A unit's digest depends on its data, so such a unit could not even be looked up.

    Raises:
        DataError: if this leaves nothing to do.
    """
    checked, first = [], None
    for cell in cells:
        try:
            for unit in cell.units:
                unit.digest  # noqa: B018
                _refuse_missing_files(unit)
            if cell.supplied is not None:
                cell.supplied.frame()
        except (DataError, MissingWeightsError) as cause:
            first = first or cause
            cell = replace(cell, units=(), supplied=None, reason=str(cause))
        checked.append(cell)
    if first is not None and not any(cell.units for cell in checked):
        raise first
    return checked


def lacking(cells: Iterable[Cell]) -> list[str]:
    """Return what cells lack, each once, on one line."""
    return list(dict.fromkeys(" ".join(cell.reason.split()) for cell in cells if cell.reason))


def _refuse_missing_files(unit: Unit) -> None:
    backbone = unit.params.backbone
    if backbone.source == "path" and find_local(backbone.ref) is None:
        raise DataError(f"backbone {backbone.name}: no {backbone.ref}, here or in $MASE_HOME/checkpoints")
    if unit.params.method == "conceptbert" and unit.params.conceptbert.vectors is None:
        raise DataError("ConceptBert needs conceptbert.vectors, a file of ConceptNet vectors")
    for modality in unit.params.modalities:
        if modality != "text" and _lies_on_disk(unit.params.towers[modality]):
            find_checkpoint(unit.params.towers[modality])


def _lies_on_disk(tower: TowerParams) -> bool:
    """Tell whether a tower's weights can only be a file or folder here: no hub, cache or package has them."""
    if tower.format in HUB_FILES:
        return bool(Path(tower.ref).suffix)
    return tower.format not in (*OPEN_CLIP, "random", "sentence_encoder")


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
