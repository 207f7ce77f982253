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
    """Run the ablation rows of a table; result and errors as for `mase_paper`.

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
        only_ablations=True,
    )
    return run_and_publish(request, "mase-ablations", Engine(engine, workers, address))
