"""Options that name the cells of tables, for the commands that train, pack or read them."""

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands import options

if TYPE_CHECKING:
    from flows.request import Request

Tables = Annotated[
    list[str],
    typer.Option("--table", help="Table, by name or number; repeatable.", show_default="the data's"),
]
RowLabels = Annotated[
    list[str],
    typer.Option(
        "--row",
        help="Label of a row to fill, beside the reference and the primary row; repeatable. A table "
        "without any of them is left out. All rows by default.",
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds per cell.")]


def request_of(
    table: Tables = [],  # noqa: B006 - Typer makes a new list for every call
    profile: options.Profile = "demo",
    data_dir: options.DataDir = None,
    tasks: options.Tasks = None,
    seeds: Seeds = 2,
    max_train_rows: options.MaxTrainRows = None,
    settings: options.Settings = [],  # noqa: B006
    params: options.ParamsFiles = [],  # noqa: B006
    backbone: options.Backbone = None,
    preset: options.Preset = None,
    row: RowLabels = [],  # noqa: B006
) -> "Request":
    """Return the request that the options amount to: the same cells for every command that takes them."""
    from flows.request import Request

    return Request(
        profile=profile,
        tables=tuple(table),
        tasks=options.comma_separated(tasks),
        seeds=seeds,
        overrides=tuple(options.overrides(settings, params, data_dir, max_train_rows)),
        backbone=backbone,
        preset=preset,
        rows=tuple(row),
    )


def takes_request(body: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `request_of`; its `body` gets what they amount to as `request`."""
    own = [option for option in signature(body).parameters.values() if option.name != "request"]
    shared = signature(request_of).parameters.values()

    @wraps(body)
    def command(**values: Any) -> None:
        asked = {option.name: values.pop(option.name) for option in shared}
        body(request=request_of(**asked), **values)

    parameters = [option.replace(kind=option.KEYWORD_ONLY) for option in (*own, *shared)]
    command.__annotations__ = {option.name: option.annotation for option in parameters}
    command.__dict__["__signature__"] = Signature(parameters)
    return command
