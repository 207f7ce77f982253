"""The steps of a run, as functions from JSON to JSON; Prefect tasks are made of these.

Every step can be repeated: what it makes is found by its digest the next time. What a step needs is
imported when it is called. `Steps` names the callables that a plan is run with: the functions
themselves (`PLAIN`), or tasks around them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flows import book, progress
from flows.outputs import record_trajectory, write_tables
from mase import ranks
from mase.artifacts import digest_of
from mase.data import TaskData
from mase.evaluation.plan import Cell
from mase.params import Params, validate
from mase.units import Unit, UnitResult, task_data
from mase.units import train as train_unit

Json = dict[str, Any]


@dataclass(frozen=True)
class Steps:
    """What to call for each step of a plan."""

    prepare: Callable[[Json], Json]
    graphs: Callable[[Json], Json]
    proxies: Callable[[Json], Json]
    train: Callable[[Json, str, str | None, bool], Json]
    tables: Callable[[Json, list[str]], dict[str, dict[str, str]]]


def read_params(content: Json) -> Params:
    """Return the params that a step was given as JSON."""
    return validate(Params, content, "params of a step")


def data_of(params: Params) -> TaskData:
    """Return the rows of a run; a process reads them once."""
    return task_data(params.task, params.data)


def prepare(params: Json) -> Json:
    """Read and split a task's data; return its digest, source and counts."""
    chosen = read_params(params)
    data = data_of(chosen)
    return {"digest": data.digest, "source": data.source, "counts": dict(data.counts)}


def graphs(params: Json) -> Json:
    """Parse the sentences of a task into scene graphs; return the digest of their table."""
    from mase.model.preparation import parse_all

    chosen = read_params(params)
    data = data_of(chosen)
    table = parse_all(chosen, [data.train, data.slice, data.evaluation], train=data.train)
    return {"digest": table.digest if table is not None else None}


def proxies(params: Json) -> Json:
    """Run the towers over a task's sentences and entity phrases; return each table's digest."""
    from mase.model.preparation import extract_all, parse_all

    chosen = read_params(params)
    data = data_of(chosen)
    rows = [data.train, data.slice, data.evaluation]
    tables = extract_all(chosen, rows, parse_all(chosen, rows, train=data.train))
    found = {f"sentence/{m}": t.digest for m, t in tables.sentences.items()}
    return found | {f"phrase/{m}": t.digest for m, t in tables.phrases.items()}


def train(params: Json, label: str, parent_run: str | None, keep_model: bool) -> Json:
    """Train one unit, as a run below `parent_run` if there is one; return where its result is."""
    unit = Unit(params=read_params(params), label=label)
    if not ranks.is_main():
        return _seen(train_unit(unit, keep_model=keep_model))
    with book.unit_run(unit, parent_run) as tracker:
        result = train_unit(unit, tracker=tracker, progress=progress.show_stage, keep_model=keep_model)
        if keep_model and parent_run is None:  # a unit of a table keeps its model in its folder alone
            from mase.serving.registry import log_model  # brings in MLflow's model machinery

            log_model(tracker, result.folder)
        if parent_run is None:
            record_trajectory(Cell(label, unit.params.task.name, (unit,)), tracker)
    return _seen(result)


def _seen(result: UnitResult) -> Json:
    return {
        "digest": result.digest,
        "folder": str(result.folder),
        "metrics": dict(result.metrics),
        "seconds": result.seconds,
    }


PLAIN = Steps(prepare=prepare, graphs=graphs, proxies=proxies, train=train, tables=write_tables)


class Inputs:
    """Makes sure that what a unit reads is there, calling each step once per distinct input."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._ready: set[str] = set()

    def make_ready(self, unit: Unit) -> None:
        """Prepare data, graphs and proxies of a unit, as far as it uses them."""
        content = unit.params.model_dump(mode="json")
        data = {key: content[key] for key in ("task", "data")}
        reading = {key: content[key] for key in ("graph", "proxies", "modalities", "towers", "seed")}
        if all(tower["format"] != "random" for tower in content["towers"].values()):
            reading.pop("seed")  # only a random tower is drawn from it
        self._once("prepare", data, self.steps.prepare, content)
        if content["graph"] is not None:
            parsing = {key: content["graph"][key] for key in ("parser", "predicates", "relation_nodes")}
            self._once("graphs", data | parsing, self.steps.graphs, content)
        if set(content["modalities"]) != {"text"}:
            self._once("proxies", data | reading, self.steps.proxies, content)

    def _once(self, step: str, identity: Json, call: Callable[[Json], Json], content: Json) -> None:
        key = digest_of({"step": step, **identity})
        if key not in self._ready:
            progress.show_stage(step, 0, 1)
            call(content)
            self._ready.add(key)
