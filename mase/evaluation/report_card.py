"""The model card of a table: its primary row, task by task, with scores over seeds."""

from collections.abc import Mapping, Sequence

from mase.evaluation.declaration import task_of
from mase.evaluation.evidence import Load
from mase.evaluation.layout import interval_points, points
from mase.evaluation.plan import Cell
from mase.evaluation.tables import Table
from mase.model_card import ModelCard, card_of
from mase.units import load_result

SCORES = "Scores"


def card_of_table(table: Table, cells: Sequence[Cell], load: Load = load_result) -> ModelCard | None:
    """Return the card of a table's primary row, None if none of it is trained.

    A line that holds for every task stands once; another one has its task in front.
    """
    primary = table.declaration.primary
    cards: dict[str, ModelCard] = {}
    for cell in cells:
        if cell.row == primary and cell.units and task_of(cell.column) in _measured(table):
            params = cell.units[0].params
            seeds = table.cells[primary, cell.column].scores
            card = card_of(params, sorted(seeds))
            rows = _rows(cell, load)
            data = (*rows, *card.sections["Data"])
            cards[params.task.title] = ModelCard(card.title, {**card.sections, "Data": data})
    if not cards:
        return None
    first, *rest = _merged(cards).items()
    title = f"{primary}, {table.declaration.title}"
    return ModelCard(title, dict([first, *rest[:1], (SCORES, tuple(_scores(table))), *rest[1:]]))


def _measured(table: Table) -> set[str]:
    """Return the tasks on which the primary row has a score."""
    primary = table.declaration.primary
    return {task_of(c) for c in table.tasks if table.cells[primary, c].n}


def _rows(cell: Cell, load: Load) -> list[str]:
    """Return how many rows a cell's first finished unit read."""
    for unit in cell.units:
        if (found := load(unit)) is not None:
            counts = {
                name: found.counts[name] for name in ("train", "slice", "evaluation") if name in found.counts
            }
            said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            return [f"rows: {said}; digest {found.details['data_digest']}"] if counts else []
    return []


def _merged(cards: Mapping[str, ModelCard]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, tuple[str, ...]] = {}
    for heading in next(iter(cards.values())).sections:
        lines: dict[str, None] = {}
        for title, card in cards.items():
            for line in card.sections[heading]:
                shared = all(line in other.sections[heading] for other in cards.values())
                lines[line if shared and len(cards) > 1 else _with_task(title, line, len(cards))] = None
        merged[heading] = tuple(lines)
    return merged


def _with_task(title: str, line: str, tasks: int) -> str:
    return f"{title}: {line}" if tasks > 1 else line


def _scores(table: Table) -> list[str]:
    """Return the primary row's score in each column, against the reference and the best constant."""
    lines = []
    for column in table.columns:
        cell = table.cells[table.declaration.primary, column]
        if not cell.n:
            continue
        spread = f" ± {100 * cell.sd:.1f}" if cell.sd is not None else ""
        line = f"{table.title(column)}: {table.metric(column)} {100 * cell.mean:.1f}{spread} per cent"
        line += f" (mean over {cell.n} seed{'s' if cell.n > 1 else ''}, {cell.examples:,} examples)"
        if (found := cell.comparison) is not None:
            against = f"{points(found.difference)} points {interval_points(found.low, found.high)}"
            line += f"; against {table.declaration.reference} {against}"
        if column in table.constants:
            line += f"; best constant prediction {100 * table.constants[column]:.1f}"
        lines.append(line)
    return lines
