"""Homes to look at: a store filled straight through SQL, reports and a study, with the rows' names given."""

import html
import json
import random
import sqlite3
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mase.modalities import MODALITIES

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "[click](javascript:window.hacked=1)",
    ":red[shout] $x^2$ **bold** `code` ![i](http://example.com/i.png)",
    'a "quoted" \\ back & <b>tag</b>',
)
PLAIN = ("Text only", "MPB", "Full MASE", "w/o contrastive loss", "Random towers")
START = 1_790_000_000_000  # milliseconds
MINUTE = 60_000
PARAMS = 100  # of a unit
ITERATIONS = 4

Tables = dict[str, list[tuple[object, ...]]]


def fill(database: Path, *, flows: int, cells: int, seeds: int, rows: Sequence[str] = PLAIN) -> None:
    """Write `flows * (1 + cells * (1 + seeds))` runs into a store that has MLflow's tables.

    The newest flow has a seed that is going on and one that failed.
    """
    tables: Tables = {"runs": [], "tags": [], "params": [], "latest_metrics": [], "metrics": []}
    chance = random.Random(0)
    for flow in range(flows):
        newest = flow == flows - 1
        start = START + flow * 1000 * MINUTE
        parent = _run(tables, "mase-paper", "RUNNING" if newest else "FINISHED", start, "flow")
        tables["params"].append(("tables", '["table6"]', parent))
        for cell in range(cells):
            row, task = rows[cell % len(rows)], ("mrpc", "sst2")[cell % 2]
            below = _run(tables, f"{row} / {task}", "FINISHED", start + cell, "cell", parent)
            tables["tags"] += [("mase.row", row, below), ("mase.task", task, below)]
            for seed in range(seeds):
                ends = (
                    {0: "RUNNING", 1: "FAILED"}.get(seed, "FINISHED") if newest and not cell else "FINISHED"
                )
                name = f"{row} / {task} / seed {seed}"
                unit = _run(tables, name, ends, start + 100 + seed, "seed", below, reason=row)
                _measured(tables, unit, task, chance, ended=ends == "FINISHED")
    with sqlite3.connect(database) as connection:
        for table, found in tables.items():
            marks = ", ".join("?" * len(found[0]))
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(f'"{name}"' for name in columns[: len(found[0])])
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", found)
    connection.close()


def _run(
    tables: Tables, name: str, status: str, start: int, kind: str, parent: str = "", reason: str = ""
) -> str:
    run = uuid.UUID(int=random.Random(len(tables["runs"])).getrandbits(128)).hex
    end = None if status == "RUNNING" else start + MINUTE
    tables["runs"].append((run, name, "LOCAL", "mase", "", "me", status, start, end, "", "active", "", 1))
    tables["tags"] += [("mase.kind", kind, run), ("mlflow.runName", name, run)]
    tables["tags"] += [("mlflow.parentRunId", parent, run)] * bool(parent)
    tables["tags"] += [("mase.reason", f"it said {reason}", run)] * (status == "FAILED")
    return run


def _measured(tables: Tables, run: str, task: str, chance: random.Random, *, ended: bool) -> None:
    """Write a unit's params and metrics; one that has not ended has its E-steps so far."""
    tables["params"] += [(f"group.name_{i}", f"value {i}", run) for i in range(PARAMS)]
    values: dict[str, float] = {}
    for step in range(1, ITERATIONS + 1):
        weights = [chance.random() + 0.1 for _ in MODALITIES]
        values = {f"em/weight/{m}": w / sum(weights) for m, w in zip(MODALITIES, weights, strict=True)}
        values |= {f"em/information/{m}": chance.random() / 20 for m in MODALITIES}
        values |= {f"em/information_se/{m}": 0.01 for m in MODALITIES}
        tables["metrics"] += [(key, value, START + step, run, step, 0) for key, value in values.items()]
    found = {"em/objective": 0.0}
    if ended:
        found |= {
            f"eval/{task}/accuracy": 0.7 + chance.random() / 5,
            "cost/seconds": 30 + 60 * chance.random(),
        }
        found |= {"cost/peak_bytes": 2.5e9, "cost/examples_per_second": 90.0}
    nan = {"em/objective"}
    tables["metrics"] += [
        (k, v, START + ITERATIONS, run, ITERATIONS, int(k in nan)) for k, v in found.items()
    ]
    latest = {**values, **found}
    tables["latest_metrics"] += [(k, v, START, ITERATIONS, int(k in nan), run) for k, v in latest.items()]


def write_report(home: Path, rows: Sequence[str]) -> None:
    """Write a report of one table with Figures 4 and 5, in the files that `mase reproduce` writes."""
    folder = home / "reports" / "table6-local-00000000"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<!DOCTYPE html><title>report</title>", encoding="utf-8")
    lines = "".join(
        f'<tr><th scope="row" class="label">{html.escape(row)}</th>'
        '<td class="score">71.0 ±0.5<sup>p</sup></td><td class="quoted muted">90.1</td></tr>'
        for row in rows
    )
    head = '<tr><th class="label"></th><th class="score">MRPC</th><th class="quoted">quoted</th></tr>'
    (folder / "table6.html").write_text(
        f"<table><caption>Table 6</caption><thead>{head}</thead><tbody>{lines}</tbody></table>"
        '<ul class="notes"><li>Per cent.</li></ul>',
        encoding="utf-8",
    )
    quoted = [json.dumps(row) if '"' not in row else '"' + row.replace('"', '""') + '"' for row in rows]
    cells = "".join(f"{row},mrpc,{0.5 * at},{-1 + at},{1 + at}\n" for at, row in enumerate(quoted))
    head = "row,column,difference,difference_low,difference_high\n"
    (folder / "table6.csv").write_text(head + cells, encoding="utf-8")
    head = "task,iteration,modality,seeds,weight,weight_sd,information,information_se\n"
    steps = "".join(
        f"{quoted[0]},{step},{m},2,0.25,0.05,0.1,0.02\n" for step in range(1, 4) for m in MODALITIES
    )
    (folder / "figure4-table6.csv").write_text(head + steps, encoding="utf-8")
    head = "task,row,by,space,measure,pair,value,low,high,chance,texts,seeds\n"
    numbers = "".join(f"MRPC,{row},modality,summed,silhouette,,0.2,0.1,0.3,0,48,1\n" for row in quoted)
    (folder / "figure5-table6-mrpc.csv").write_text(head + numbers, encoding="utf-8")
    (folder / "figure5-table6-mrpc.png").write_bytes(white_png(40, 30))


def white_png(width: int, height: int) -> bytes:
    """Return a white picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\x00" + b"\xff" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def write_study(home: Path, method: str, trials: int = 8) -> Path:
    """Write a study of two params whose best alpha is 0.1 and best tau 0.07, with a trial going on."""
    folder = home / "studies" / "mrpc-mase-alpha_tau-0123456789"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"task": "mrpc", "method": method}), encoding="utf-8")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=folder.name,
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        direction="maximize",
    )
    for alpha, tau in _points(trials):
        study.enqueue_trial({"contrastive.alpha": alpha, "contrastive.tau": tau})
        trial = study.ask()
        alpha = trial.suggest_float("contrastive.alpha", 1e-3, 1, log=True)
        tau = trial.suggest_float("contrastive.tau", 1e-2, 1, log=True)
        study.tell(trial, 0.8 - abs(alpha - 0.1) - abs(tau - 0.07))
    study.ask()
    return folder


def _points(count: int) -> Iterator[tuple[float, float]]:
    for at in range(count):
        yield (0.1, 0.07) if at == count // 2 else (0.002 * 2**at, 0.9 / 1.7**at)
