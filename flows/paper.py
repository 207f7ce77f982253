"""The flow `mase-paper`: every table and figure of the paper, from one request."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ParamSpec, TypeVar

from prefect import flow

from flows.engines import Engine, EngineName
from flows.gpu import own_gpu
from flows.overrides import data_overrides
from flows.publish import progress_watcher, publish_run, publish_tables
from flows.reproduce import UnitsFailed, reproduce
from flows.request import DEFAULT_SEEDS, Request
from flows.tasks import TASKS

P = ParamSpec("P")
R = TypeVar("R")


def asked(
    *,
    profile: str = "demo",
    tables: list[str] | None = None,
    figures: list[str] | None = None,
    tasks: list[str] | None = None,
    seeds: int = DEFAULT_SEEDS,
    data_dir: str | None = None,
    overrides: list[str] | None = None,
    backbone: str | None = None,
    preset: str | None = None,
    vectors: str | None = None,
    rows: list[str] | None = None,
    engine: EngineName = "local",
    workers: int | None = None,
    address: str | None = None,
) -> tuple[Request, Engine]:
    """Return what a flow is asked for, and where its units are trained.

    Args:
        profile: sizes, backbone, towers and data source: a name under `params/profiles/`, or a path.
        tables: names or numbers; by default Table 6, or its embedded twin for embedded data.
        figures: "4", "5"; without tables, only what the figures show is trained.
        tasks: columns to fill; by default all.
        seeds: how many seeds a cell has.
        data_dir: folder of the official data files, on the worker; sets `data.source=files`.
        overrides: settings of `params/` to replace, each `a.b=c`; they hold for every row.
        backbone: a name under `params/backbones/`; by default the profile's.
        preset: paper, sound or em; by default the profile's.
        vectors: folder of vectors of named things, on the worker, for Figure 5.
        rows: labels of rows to fill, beside the reference and the primary row; by default all.
        engine: where units are trained: local, process, ray or dask.
        workers: units at a time; by default one per GPU, else one per two cores.
        address: of a running Ray or Dask cluster.
    """
    request = Request(
        profile=profile,
        tables=tuple(tables or ()),
        figures=tuple(figures or ()),
        tasks=None if tasks is None else tuple(tasks),
        seeds=seeds,
        overrides=(*data_overrides(data_dir), *(overrides or ())),
        backbone=backbone,
        preset=preset,
        vectors=vectors,
        rows=tuple(rows or ()),
    )
    return request, Engine(engine, workers, address)


def with_parameters_of(source: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Give a function of keywords the parameters of another, as Prefect and its pages read them.

    Prefect takes types and defaults from the signature and descriptions from the docstring.
    """

    def dress(function: Callable[..., R]) -> Callable[P, R]:
        own, arguments = inspect.getdoc(function), inspect.getdoc(source)
        assert own is not None and arguments is not None
        function.__doc__ = f"{own}\n\nArgs:{arguments.partition('Args:')[2]}"
        setattr(function, "__signature__", inspect.signature(source))  # noqa: B010 - functions have no such attribute
        return function

    return dress


@flow(name="mase-paper", flow_run_name="mase-paper-{profile}", validate_parameters=True)
@with_parameters_of(asked)
def mase_paper(**values: Any) -> dict[str, Any]:
    """Reproduce tables and figures; return paths and counts.

    Raises:
        UnitsFailed: after the tables are written, if units failed; the flow run is Failed then.
    """
    request, engine = asked(**values)
    return run_and_publish(request, "mase-paper", engine)


def run_and_publish(request: Request, name: str, engine: Engine) -> dict[str, Any]:
    """Reproduce inside a flow run; leave a link to its tracked run, its progress and its tables."""
    try:
        with nullcontext() if engine.several() else own_gpu():  # workers have GPUs of their own
            made = reproduce(
                request,
                name=name,
                steps=TASKS,
                engine=engine,
                watch=progress_watcher(name),
                opened=publish_run,
            )
    except UnitsFailed as cause:
        publish_tables(cause.made.tables)
        raise
    publish_tables(made.tables)
    return made.summary()
