"""The flow `mase-ablations`: the reference, full MASE, and MASE without each of its parts."""

from typing import Any

from prefect import flow

from flows.engines import Engine, EngineName
from flows.overrides import data_overrides
from flows.paper import run_and_publish
from flows.request import DEFAULT_SEEDS, Request


@flow(name="mase-ablations", flow_run_name="mase-ablations-{profile}", validate_parameters=True)
def mase_ablations(
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
) -> dict[str, Any]:
    """Run the ablation rows of a table; arguments, result and errors as for `mase_paper`."""
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
        only_ablations=True,
    )
    return run_and_publish(request, "mase-ablations", Engine(engine, workers, address))
