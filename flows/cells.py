"""Train the units of a plan, cell by cell; one that fails leaves the others running."""

import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from flows import book, progress
from flows.engines import Engine, Start, Started, here
from flows.outputs import record_trajectory
from flows.request import Plan, unfinished
from flows.steps import Inputs, Steps
from mase.errors import MaseError
from mase.evaluation.plan import Cell
from mase.tracking import Tracker
from mase.units import Unit

LOCAL = Engine()
# What a unit may fail of without stopping the plan: PyTorch reports a full device or a kernel's
# failure as RuntimeError. Anything else is a defect of this program and stops it.
UNIT_FAILURES = (MaseError, RuntimeError, MemoryError, OSError)


@dataclass
class Outcome:
    """What became of the units of a plan; `failures` maps a label to what went wrong."""

    linked: list[Unit] = field(default_factory=list)
    trained: list[Unit] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def failure_lines(self) -> list[str]:
        """Return one line per cause, with the units that it stopped."""
        labels: dict[str, list[str]] = {}
        for label, message in self.failures.items():
            labels.setdefault(message, []).append(label)
        return [f"{'; '.join(stopped)}: {message}" for message, stopped in labels.items()]


def run_cells(plan: Plan, steps: Steps, parent: Tracker, engine: Engine = LOCAL) -> Outcome:
    """Train what is not done yet, in order, under the parent run; several at a time where the engine can."""
    outcome = Outcome()
    todo = {unit.digest for unit in unfinished(plan)}
    outcome.linked = [unit for unit in plan.units() if unit.digest not in todo]
    parent.tags(book.links(outcome.linked))
    cells, inputs = list(_unfinished_cells(plan, todo)), Inputs(steps)
    if not engine.several():
        for cell in cells:
            _run([cell], plan, inputs, here(steps.train), parent, outcome)
        return outcome
    with engine.starting(steps.train) as start:
        _run(cells, plan, inputs, start, parent, outcome)
    return outcome


def _unfinished_cells(plan: Plan, todo: set[str]) -> Iterator[tuple[Cell, list[Unit]]]:
    """Yield cells with the units that they bring; a unit of two cells belongs to the first."""
    for cell in plan.cells():
        units = [unit for unit in cell.units if unit.digest in todo]
        if units:
            yield cell, units
            todo -= {unit.digest for unit in units}


def _run(
    cells: list[tuple[Cell, list[Unit]]],
    plan: Plan,
    inputs: Inputs,
    start: Start,
    parent: Tracker,
    outcome: Outcome,
) -> None:
    """Start the units of all these cells, then wait for each; their runs are open meanwhile."""
    with ExitStack() as opened:
        begun: list[tuple[Cell, Tracker, list[tuple[Unit, Started]]]] = []
        for cell, units in cells:
            run = opened.enter_context(book.cell_run(cell, plan, parent))
            begun.append((cell, run, []))
            for unit in units:
                started = _start(unit, plan, inputs, start, run, outcome)
                begun[-1][2].extend([(unit, started)] if started is not None else [])
        for cell, run, started in begun:
            for unit, result in started:
                _finish(unit, result, outcome)
            record_trajectory(cell, run)
            failed = [unit.label for unit in cell.units if unit.label in outcome.failures]
            run.close("FAILED" if failed else "FINISHED", f"failed: {', '.join(failed)}" if failed else "")


def _start(
    unit: Unit, plan: Plan, inputs: Inputs, start: Start, run: Tracker, outcome: Outcome
) -> Started | None:
    """Make a unit's inputs and start it; None if that failed."""
    progress.current().start(unit.label)
    try:
        inputs.make_ready(unit)
        return start(
            params=unit.params.model_dump(mode="json"),
            label=unit.label,
            parent_run=run.run_id,
            keep_model=unit.digest in plan.kept,
        )
    except UNIT_FAILURES as cause:
        _fail(unit, cause, outcome)
        return None


def _finish(unit: Unit, started: Started, outcome: Outcome) -> None:
    """Wait for a unit and note what became of it."""
    shown = progress.current()
    shown.start(unit.label)
    try:
        result = started.result()
    except UNIT_FAILURES as cause:
        _fail(unit, cause, outcome)
    else:
        outcome.trained.append(unit)
        score = result["metrics"][unit.params.task.main_metric]
        shown.finish(f"{unit.params.task.main_metric} {score:.4f}, {result['seconds']:.1f} s")


def _fail(unit: Unit, cause: Exception, outcome: Outcome) -> None:
    shown = progress.current()
    outcome.failures[unit.label] = f"{type(cause).__name__}: {cause}"
    if not isinstance(cause, MaseError):
        shown.line(traceback.format_exc().rstrip())
    shown.finish(f"failed: {cause}", failed=True)
