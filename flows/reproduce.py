"""One plain function from a request to trained units, tables and figures; the flows wrap it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import book
from flows.cells import LOCAL, Outcome, run_cells
from flows.engines import Engine
from flows.progress import Progress
from flows.request import Plan, Request, make_plan, unfinished
from flows.steps import PLAIN, Steps
from mase.errors import TrainingError


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction left behind; JSON-able through `summary`.

    Attributes:
        tables: table -> format or figure -> path.
        trained, linked, failed: units trained now, done before, and failed.
        failures: one line per cause of failure.
    """

    tables: dict[str, dict[str, str]]
    trained: int
    linked: int
    failed: int
    failures: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return paths and small numbers only, as results cross task boundaries."""
        return {
            "tables": self.tables,
            "trained": self.trained,
            "linked": self.linked,
            "failed": self.failed,
            "failures": list(self.failures),
        }


class UnitsFailed(TrainingError):
    """Some units failed; the tables of the others are written and are in `made`."""

    def __init__(self, made: Reproduction) -> None:
        lines = "\n".join(f"  {line}" for line in made.failures)
        super().__init__(f"{made.failed} unit(s) failed; the rest is in the tables\n{lines}")
        self.made = made


def reproduce(
    request: Request,
    *,
    name: str = "mase-paper",
    steps: Steps = PLAIN,
    engine: Engine = LOCAL,
    watch: Callable[[int, int], None] | None = None,
    opened: Callable[[str], None] | None = None,
) -> Reproduction:
    """Train what a request lacks, then write its tables and figures.

    An engine other than `local` needs steps that are Prefect tasks, and is called in a flow run.

    `opened` is called with the id of the tracked run, before anything is trained.

    With nothing to train no run is opened and no step is called but the last.

    Raises:
        ParamsError, DataError: if the request or its data are wrong; nothing is written then, since
            the digest of a unit depends on its data.
        UnitsFailed: after the tables are written, if units failed.
    """
    plan = make_plan(request)
    todo = unfinished(plan)
    if not todo:
        return _made(plan, Outcome(linked=plan.units()), steps)
    with Progress(len(todo), watch=watch), book.plan_run(name, plan) as run:
        if opened is not None:
            opened(run.run_id)
        outcome = run_cells(plan, steps, run, engine)
        made = _made(plan, outcome, steps)
        for table, files in made.tables.items():
            for path in files.values():
                run.artifact(Path(path), table)
        if outcome.failures:
            run.close("FAILED", "; ".join(made.failures))
    if made.failures:
        raise UnitsFailed(made)
    return made


def _made(plan: Plan, outcome: Outcome, steps: Steps) -> Reproduction:
    failures = outcome.failure_lines()
    files = steps.tables(plan.request.to_json(), failures)
    return Reproduction(
        tables=files,
        trained=len(outcome.trained),
        linked=len(outcome.linked),
        failed=len(outcome.failures),
        failures=tuple(failures),
    )
