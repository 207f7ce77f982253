"""Options that name the cells of tables, for commands that read what is done without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options

if TYPE_CHECKING:
    from flows.request import Plan

Table = Annotated[str | None, typer.Option(help="Table, by name or number.", show_default="the data's")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds per cell.")]


def plan_of(
    table: str | None,
    profile: str,
    data_dir: Path | None,
    tasks: str | None,
    seeds: int,
    max_train_rows: int | None,
    settings: list[str],
    backbone: str | None,
    preset: str | None,
) -> "Plan":
    """Return the plan of one table, as `mase reproduce` with the same options would make it."""
    from flows.request import Request, make_plan

    request = Request(
        profile=profile,
        tables=() if table is None else (table,),
        tasks=options.comma_separated(tasks),
        seeds=seeds,
        overrides=tuple(options.overrides(settings, (), data_dir, max_train_rows)),
        backbone=backbone,
        preset=preset,
    )
    return make_plan(request)
