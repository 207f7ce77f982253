"""`mase reproduce`, `mase ablations` and `mase report`: one request, carried out as far as is asked."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from flows.commands import options, request_options
from flows.engines import Engine, EngineName
from flows.environment import prepare_prefect, server_for_workers

if TYPE_CHECKING:
    from flows.outputs import Files
    from flows.request import Plan, Request
    from mase.evaluation.tables import Table

Mode = Literal["reproduce", "ablations", "report"]
HELP: dict[Mode, str] = {
    "reproduce": "Reproduce the paper's tables and figures; what is done is not trained again. "
    "Without --table and --figure: Table 6, or its embedded twin for embedded data.",
    "ablations": "Run the ablations: the text-only reference, full MASE, and MASE without each of its parts.",
    "report": "Write the report of what is done so far, one HTML file that loads nothing, and its tables, "
    "without training anything.",
}
Figures = Annotated[
    list[str],
    typer.Option(
        "--figure", help="Figures to draw: --figure 4 5. Without --table only their rows are trained."
    ),
]
Vectors = Annotated[
    Path | None,
    typer.Option(
        help="For Figure 5: folder of real vectors, NAME.npy (n, d) with NAME.names.txt, and NAME.kind.txt "
        "with what they are of (image, audio, video, text)."
    ),
]
EngineOption = Annotated[
    EngineName, typer.Option(help="Where units are trained: here, in worker processes, on Ray or on Dask.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Units at a time.", show_default="one per GPU, else one per two cores"),
]
Address = Annotated[str | None, typer.Option(help="Address of a running Ray or Dask cluster.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be trained, and stop.")]


def command(mode: Mode) -> Callable[..., None]:
    """Return the body of one of the three commands, which take the same options."""

    def run(
        request: "Request",
        figure: Figures = [],  # noqa: B006 - Typer makes a new list for every call
        vectors: Vectors = None,
        engine: EngineOption = "local",
        workers: Workers = None,
        address: Address = None,
        dry_run: DryRun = False,
        as_json: options.AsJson = False,
    ) -> None:
        asked = replace(
            request,
            figures=tuple(figure),
            only_ablations=mode == "ablations",
            vectors=_existing(vectors),
        )
        _carry_out(asked, Engine(engine, workers, address), mode, dry_run, as_json)

    run.__doc__ = HELP[mode]
    return request_options.takes_request(run)


def _existing(vectors: Path | None) -> str | None:
    """Return the absolute path of a folder of vectors that can be read, before anything is trained for it."""
    if vectors is None:
        return None
    from mase.evaluation.real_vectors import read_folder

    read_folder(vectors)
    return str(vectors.absolute())


class ManyNames(TyperCommand):
    """A command whose `--table` and `--figure` take several names in a row; it has no arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further name."""
        return super().parse_args(ctx, spelt_out(args))


def spelt_out(words: Sequence[str]) -> list[str]:
    """Return `--figure 4 5` as `--figure 4 --figure 5`; other words stay."""
    result: list[str] = []
    option = ""
    for word in words:
        if word.startswith("-"):
            option = word.partition("=")[0] if word.partition("=")[0] in ("--table", "--figure") else ""
        elif option and result and result[-1] != option:
            result.append(option)
        result.append(word)
    return result


def _carry_out(request: "Request", engine: Engine, mode: Mode, dry_run: bool, as_json: bool) -> None:
    """Plan a request; train what it lacks, as a flow; write and show its tables."""
    from flows.plan_view import print_plan
    from flows.request import make_plan, unfinished

    plan = make_plan(request)
    if dry_run:
        print_plan(plan, as_json)
    elif mode == "report" or not unfinished(plan):
        _write_and_show(plan, as_json)
    else:
        options.resumes_with_same_command()
        _train_and_show(plan, engine, as_json)


def _train_and_show(plan: "Plan", engine: Engine, as_json: bool) -> None:
    """Run a plan as a flow, which writes its files; show its tables even if units failed."""
    from flows.outputs import finished_tables
    from flows.reproduce import UnitsFailed

    try:
        files = _run_flow(plan.request, engine)["tables"]
    except UnitsFailed as cause:
        failures = list(cause.made.failures)
        _show(plan, finished_tables(plan, failures), cause.made.tables, failures, as_json)
        raise
    _show(plan, finished_tables(plan), files, [], as_json)


def _run_flow(request: "Request", engine: Engine) -> dict[str, Any]:
    """Run a request as its Prefect flow; starting one takes seconds, so this is only for work to do."""
    prepare_prefect()
    with server_for_workers() if engine.several() else nullcontext():
        return _call_flow(request, engine)


def _call_flow(request: "Request", engine: Engine) -> dict[str, Any]:
    from flows.ablations import mase_ablations
    from flows.paper import mase_paper

    flow = mase_ablations if request.only_ablations else mase_paper
    return flow(
        profile=request.profile,
        tables=list(request.tables),
        figures=list(request.figures),
        tasks=None if request.tasks is None else list(request.tasks),
        seeds=request.seeds,
        overrides=list(request.overrides),
        backbone=request.backbone,
        preset=request.preset,
        vectors=request.vectors,
        rows=list(request.rows),
        engine=engine.name,
        workers=engine.workers,
        address=engine.address,
    )


def _write_and_show(plan: "Plan", as_json: bool) -> None:
    """Write the files of what is done, and show its tables."""
    from flows.outputs import finished_tables, write_outputs

    tables = finished_tables(plan)
    _show(plan, tables, write_outputs(plan, tables), [], as_json)


def _show(
    plan: "Plan", tables: "Sequence[Table]", files: "Files", failures: list[str], as_json: bool
) -> None:
    """Show tables with the sentences to take away, and where their files are."""
    from mase.evaluation.headline import headline
    from mase.evaluation.render import to_terminal

    if as_json:
        typer.echo(json.dumps({"tables": files, "failures": failures}, indent=1))
        return
    for table in tables:
        to_terminal(table)
        for sentence in headline(table):
            typer.echo(f"- {sentence}")
    for kinds in files.values():
        typer.echo("\n".join(f"{kind:>13}  {path}" for kind, path in kinds.items()))
    lacking = plan.kept - {unit.digest for unit in plan.units() if plan.result(unit)}
    if lacking:
        typer.echo(
            f"Figure 5: {len(lacking)} of {len(plan.kept)} units keep no model; `mase reproduce` trains them"
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for mode, text in HELP.items():
        app.command(mode, help=text, cls=ManyNames)(command(mode))
