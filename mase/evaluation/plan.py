"""From a declared table to the units that must be trained for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from mase.errors import DataError, MissingWeightsError, ParamsError
from mase.evaluation.declaration import RowParams, TableParams, task_of
from mase.evaluation.supplied import Supplied
from mase.params import TowerParams, load_params, read_named
from mase.params.combinations import TOWERS
from mase.proxies.locate import HUB_FILES, OPEN_CLIP, find_checkpoint, find_local
from mase.units import Unit, UnitResult, load_result


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a row's label, a column, and one unit per seed, or per seed and fold.

    Attributes:
        column: a task, or task:metric; columns of one task have the same units.
        reason: why there are no units where the row has some; see `with_data`.
        supplied: predictions of a user's file, in the place of units.
        ensemble: how many seeds' predictions each number is of; the units are another row's where it is
            above 1.
    """

    row: str
    column: str
    units: tuple[Unit, ...]
    reason: str = ""
    supplied: Supplied | None = None
    ensemble: int = 1

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


@dataclass(frozen=True)
class _Planner:
    """Makes the cells of a table's rows; the fields are the arguments of `plan`."""

    table: TableParams
    profile: str
    seeds: Sequence[int]
    overrides: Sequence[str]
    backbone: str | None
    preset: str | None

    def cells(self, row: RowParams, columns: Sequence[str]) -> list[Cell]:
        """Return a row's cells; columns of one task have the same units."""
        tasks = dict.fromkeys(map(task_of, columns))
        units = {task: self.units(row, task) for task in tasks}
        files = {task: self.supplied(row, task) for task in tasks}
        size = 1 if row.ensemble is None else row.ensemble.seeds
        return [Cell(row.label, c, units[task_of(c)], "", files[task_of(c)], size) for c in columns]

    def units(self, row: RowParams, task: str) -> tuple[Unit, ...]:
        """Return the units of a row, or of the row that an ensemble is of; none where it has no cell."""
        model = self.backbone or read_named("profiles", self.profile)["backbone"]
        if not row.available or row.predictions or task in row.without:
            return ()
        if row.backbones and model not in row.backbones:
            return ()
        if row.ensemble is not None:
            return self.units(self.table.row(row.ensemble.of), task)
        folds = range(self.table.folds[task]) if task in self.table.folds else (None,)
        return tuple(self.unit(row, task, seed, fold) for seed in self.seeds for fold in folds)

    def unit(self, row: RowParams, task: str, seed: int, fold: int | None) -> Unit:
        """Return one unit."""
        folded = () if fold is None else (f"data.folds={self.table.folds[task]}", f"data.fold={fold}")
        params = load_params(
            task,
            profile=self.profile,
            backbone=row.backbone or self.backbone,
            preset=self.preset,
            overlays=row.overlays,
            overrides=(*self.table.overrides, *row.overrides, *self.overrides, *folded),
            seed=seed,
        )
        part = "" if fold is None else f" / fold {fold}"
        return Unit(params=params, label=f"{row.label} / {task} / seed {seed}{part}")

    def supplied(self, row: RowParams, task: str) -> Supplied | None:
        """Return the user's predictions, if the row has some for the task."""
        if task not in row.predictions:
            return None
        params = load_params(
            task,
            profile=self.profile,
            backbone=self.backbone,
            preset=self.preset,
            overrides=(*self.table.overrides, *row.overrides, *self.overrides),
            seed=self.seeds[0],
        )
        return Supplied(params, Path(row.predictions[task]).expanduser())


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
    planner = _Planner(table, profile, seeds, overrides, backbone, preset)
    return [cell for row in table.rows for cell in planner.cells(row, columns)]


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
    fetched = backbone.source == "hub" and unit.params.method not in TOWERS
    if fetched and (why := _out_of_reach(backbone.ref, backbone.revision)):
        raise MissingWeightsError(f"backbone {backbone.name}: {why}")
    if unit.params.method == "conceptbert" and unit.params.conceptbert.vectors is None:
        raise DataError("ConceptBert needs conceptbert.vectors, a file of ConceptNet vectors")
    for modality in unit.params.modalities:
        if modality != "text" and _lies_on_disk(unit.params.towers[modality]):
            find_checkpoint(unit.params.towers[modality])


@lru_cache
def _out_of_reach(ref: str, revision: str | None) -> str:
    """Return why a model of the hub can be neither found in the cache nor fetched; empty if it can.

    Asked once a process, and once of the hub: loading the model would try for half a minute.
    """
    from huggingface_hub import HfApi, errors, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(ref, "config.json", revision=revision), str):
        return ""
    try:
        HfApi().model_info(ref, revision=revision, timeout=5)
    except (OSError, errors.HTTPError) as cause:  # pyright: ignore[reportPrivateImportUsage]
        return f"{ref} is not in the cache, and the Hugging Face hub does not give it: {cause}"
    return ""


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
