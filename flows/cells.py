"""Train the units of a plan, cell by cell; one that fails leaves the others running."""

import traceback
from dataclasses import dataclass, field

from flows import book, progress
from flows.outputs import record_trajectory
from flows.request import Plan, unfinished
from flows.steps import Inputs, Steps
from mase.errors import MaseError
from mase.evaluation.plan import Cell
from mase.tracking import Tracker
from mase.units import Unit

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


def run_cells(plan: Plan, steps: Steps, parent: Tracker) -> Outcome:
    """Train what is not done yet, in order, under the parent run."""
    outcome = Outcome()
    todo = {unit.digest for unit in unfinished(plan)}
    outcome.linked = [unit for unit in plan.units() if unit.digest not in todo]
    parent.tags(book.links(outcome.linked))
    inputs = Inputs(steps)
    for cell in plan.cells():
        units = [unit for unit in cell.units if unit.digest in todo]
        if units:
            _run_cell(cell, units, plan, steps, inputs, parent, outcome)
            todo -= {unit.digest for unit in units}
    return outcome


def _run_cell(
    cell: Cell, units: list[Unit], plan: Plan, steps: Steps, inputs: Inputs, parent: Tracker, outcome: Outcome
) -> None:
    with book.cell_run(cell, plan, parent) as run:
        for unit in units:
            _run_unit(unit, steps, inputs, run, outcome, keep_model=unit.digest in plan.kept)
        record_trajectory(cell, run)
        failed = [unit.label for unit in units if unit.label in outcome.failures]
        if failed:
            run.close("FAILED", f"failed: {', '.join(failed)}")


def _run_unit(
    unit: Unit, steps: Steps, inputs: Inputs, cell: Tracker, outcome: Outcome, *, keep_model: bool
) -> None:
    shown = progress.current()
    shown.start(unit.label)
    try:
        inputs.make_ready(unit)
        result = steps.train(unit.params.model_dump(mode="json"), unit.label, cell.run_id, keep_model)
    except UNIT_FAILURES as cause:
        outcome.failures[unit.label] = f"{type(cause).__name__}: {cause}"
        if not isinstance(cause, MaseError):
            shown.line(traceback.format_exc().rstrip())
        shown.finish(f"failed: {cause}", failed=True)
    else:
        outcome.trained.append(unit)
        score = result["metrics"][unit.params.task.main_metric]
        shown.finish(f"{unit.params.task.main_metric} {score:.4f}, {result['seconds']:.1f} s")
